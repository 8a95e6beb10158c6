"""Fleets over REST: specs, orders, views."""
