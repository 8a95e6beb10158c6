"""What files that are still to come will start, as far as those that came foretell; pure."""
