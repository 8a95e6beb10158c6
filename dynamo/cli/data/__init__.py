"""What is known of the data: assets, checks, freshness."""
