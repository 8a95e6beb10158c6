"""A site and a pool that exist in memory, for tests and simulated days."""
