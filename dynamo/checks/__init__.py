"""Checks of data: what is measured where a file is decoded, and what the measured values mean for the run.

Measuring (`examine`, `catalogue`) happens in the job, which knows neither store nor configuration; judging
(`judging`, `record`) on the side of the store, which knows thresholds and history.
"""
