"""An in-memory site and pool, for tests and simulated days."""
