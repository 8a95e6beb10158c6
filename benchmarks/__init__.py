"""Measurements: ratios against peers in the same run, because machines are shared and noisy."""
