"""Writers of simulated files, one per real format that DyNamo reads, to test readers without real data."""
