"""Rules: which arrivals, under what condition or at what times, start which workflow; one module per kind."""
