"""Mobius's requests, answered in its own envelope."""
