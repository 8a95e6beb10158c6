"""Radar sweeps and volumes: one internal model, one small reader for each format."""
