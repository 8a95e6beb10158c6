"""Whole days of weather on simulated clouds, with the real policies and provisioner."""
