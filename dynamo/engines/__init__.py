"""What executes a run, behind one small interface."""
