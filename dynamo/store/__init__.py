"""What must survive a crash: tables, migrations, and the opening of SQLite or PostgreSQL."""

# Every table is known as soon as any is: migrations are compared with all of them.
from dynamo.store import alerts as alerts
from dynamo.store import fleets as fleets
