"""No daemons here, and no migrations: what needs them is in `tests.integration`."""

from tests.stores import copied_stores, migrated, migrating

__all__ = ["copied_stores", "migrated", "migrating"]
