"""Alert channels: one file per kind."""
