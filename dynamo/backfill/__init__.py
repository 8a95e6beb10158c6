"""Backfills: a workflow made again over a range of valid times, beside live work and never in its way.

A backfill is one stored row with a position in its source, the arrivals of a feed in order of valid time. Whoever works
on it creates a few runs at a time, each portion in the transaction that moves the position: a kill at any moment
repeats nothing and leaves nothing out.
"""
