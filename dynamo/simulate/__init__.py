"""Built-in simulators, so that everything can be tried without data."""
