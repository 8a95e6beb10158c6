"""The store, for everything that must survive a crash: tables, migrations, and access to SQLite or PostgreSQL."""

# Importing any table registers all of them: migrations are compared with the full set.
from dynamo.store import alerts as alerts
from dynamo.store import fleets as fleets
from dynamo.store import lineage as lineage
from dynamo.store import problems as problems
