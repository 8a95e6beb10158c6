"""Sources of files: one kind a file; each finds candidates and says when one is complete."""
