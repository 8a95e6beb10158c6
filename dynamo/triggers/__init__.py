"""Rules: which arrivals, under which condition or at which times, start which workflow. Pure; one file a kind."""
