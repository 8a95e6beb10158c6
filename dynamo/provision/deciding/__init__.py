"""What to do about workers, sites and money: pure functions on what was read."""
