"""Fleets: the requested infrastructure, the actual one, and how to get from one to the other."""
