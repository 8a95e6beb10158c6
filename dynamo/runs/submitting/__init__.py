"""Runs on request: from what a person names to a request, and a process of its own that carries it out."""
