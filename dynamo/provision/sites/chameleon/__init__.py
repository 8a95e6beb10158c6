"""Chameleon: OpenStack with Blazar leases."""
