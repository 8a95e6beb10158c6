"""Built-in simulators, to try everything without data."""
