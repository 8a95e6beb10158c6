"""Take one run from its stored state to its end: one step per state."""
