"""One reconcile cycle: what is read, what is decided about, what is done, what is written down."""
