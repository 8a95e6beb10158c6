"""A look at an input file in a process of its own: format, times, and what triggers and cost model ask."""
