"""What work there is and what work is to come: one module for each source, and `registry` that puts them together."""
