"""Current and expected work: one module per source, and `registry` to combine them."""
