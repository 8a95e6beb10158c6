"""A run from its key to its products: create, plan, submit, wait, publish; retry and cancel."""
