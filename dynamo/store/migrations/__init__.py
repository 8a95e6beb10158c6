"""Migrations of the store, run by `dynamo.store.upgrade`."""

#: The revision this DyNamo uses: the newest file in ``versions``.
HEAD = "0013"
