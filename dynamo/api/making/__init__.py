"""How runs come to be, over REST: the services that make them, and backfills that make old ones again."""
