"""Rules: which arrivals, under which condition or at which times, start which workflow; one file a kind."""
