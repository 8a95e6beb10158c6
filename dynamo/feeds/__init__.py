"""Sources of files, one module per kind; each finds candidates and knows when one is complete."""
