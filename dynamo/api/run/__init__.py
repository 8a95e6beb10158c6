"""Runs over REST: lists, one run with everything about it, its logs and products, and orders."""
