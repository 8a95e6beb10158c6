"""One reconcile cycle: read, decide, store, act."""
