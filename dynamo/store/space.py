"""Give the space of removed rows back to the file system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from dynamo.store.engine import Store

#: Pages freed in one transaction, so that writers do not wait long.
_PAGES = 200


def free_space(store: Store, stopped: Callable[[], bool] = lambda: False) -> int:
    """Free unused pages of an SQLite store in small steps; return how many bytes. PostgreSQL's autovacuum does it.

    A store from before this was possible is freed only by `compact`.
    """
    if store.engine.dialect.name != "sqlite":
        return 0
    store.check()
    freed = 0
    with store._translated(), store.engine.connect() as connection:
        driver = connection.connection.cursor()
        size = driver.execute("PRAGMA page_size").fetchone()[0]
        while not stopped():
            unused = driver.execute("PRAGMA freelist_count").fetchone()[0]
            # Each step is a transaction of its own; its rows must be read for it to be carried out.
            driver.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
            left = driver.execute("PRAGMA freelist_count").fetchone()[0]
            freed += (unused - left) * size
            if left in (0, unused):
                break
    return freed


def compact(store: Store) -> tuple[int, int]:
    """Rewrite an SQLite store without its unused space; return its size in bytes before and after.

    Nothing else can write meanwhile. PostgreSQL: ``VACUUM``, which reclaims space for new rows.
    """
    if store.engine.dialect.name != "sqlite":
        with store._translated(), store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM"))
        return 0, 0
    store.check()
    file = Path(str(store.engine.url.database))
    before = file.stat().st_size
    with store._translated(), store.engine.connect() as connection:
        driver = connection.connection.cursor()
        driver.execute("PRAGMA auto_vacuum=INCREMENTAL")
        driver.execute("VACUUM")
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return before, file.stat().st_size
