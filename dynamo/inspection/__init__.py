"""Inspect input files in a separate process: format, times, and what triggers and the cost model need."""
