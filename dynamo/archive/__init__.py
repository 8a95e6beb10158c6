"""Published products after their publication: listed, verified, moved to a warm tier, removed; and rows pruned."""
