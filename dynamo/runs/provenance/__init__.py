"""Where a run's products come from, in the words of standards that others read."""
