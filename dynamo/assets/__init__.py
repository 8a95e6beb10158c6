"""Data as assets: what there is of each source and radar, what is missing, and what was made from what.

`model` says what an asset is, `catalog` finds the assets of a configuration and store, `coverage` counts and finds
gaps, `history` lists how partitions were made,
`lineage` goes from a file to what it was made from and to what was made from it.
"""
