"""Decisions about workers, sites and money: pure functions on the data read."""
