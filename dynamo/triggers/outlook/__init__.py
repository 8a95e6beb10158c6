"""Forecast what future files will start, from the files that have arrived; pure."""
