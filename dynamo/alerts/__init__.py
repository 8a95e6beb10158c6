"""Alerts: who gets a message about an approaching storm or hail, when, and over which channel."""
