"""Data over REST: feeds, arrivals, assets, lineage, checks, problems, decisions, alerts."""
