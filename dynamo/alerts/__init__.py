"""Alerts: who is told that a storm or hail is near, when, and over which channel."""
