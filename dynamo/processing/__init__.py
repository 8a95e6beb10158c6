"""Computation of one step from files: read formats, call the numerics, return product data."""
