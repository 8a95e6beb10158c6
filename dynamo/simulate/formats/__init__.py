"""Writers of simulated files: one for each real format that DyNamo reads, so that readers are tried without data."""
