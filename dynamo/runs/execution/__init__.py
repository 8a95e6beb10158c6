"""Taking one run from where the store says it is to its end: a step for each state."""
