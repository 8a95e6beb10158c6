"""The command line: argument parsing and output only."""
