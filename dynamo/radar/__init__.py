"""Pure functions on arrays. No files, no clock, no configuration."""
