"""Mobius requests, answered in Mobius's envelope."""
