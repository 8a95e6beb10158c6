"""The migrations of the store, run by `dynamo.store.upgrade`."""

#: The revision that this DyNamo works with: the newest file in ``versions``.
HEAD = "0004"
