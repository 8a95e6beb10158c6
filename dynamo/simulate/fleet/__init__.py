"""Simulation of whole weather days on simulated clouds, with the real policies and provisioner."""
