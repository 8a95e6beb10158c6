"""Upgrading a store to this version's schema; concurrent processes do it only once."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from dynamo.errors import InputError
from dynamo.files import private_file
from dynamo.store.migrations import HEAD
from dynamo.store.url import safe_url

if TYPE_CHECKING:
    from alembic.config import Config

#: Key of the PostgreSQL advisory lock; any constant that nothing else in the database uses.
_ADVISORY_KEY = 0x44794E616D6F


def current_revision(engine: Engine) -> str | None:
    """Return the store's revision, or None if it has no tables yet."""
    with engine.connect() as connection:
        try:
            return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except (OperationalError, ProgrammingError) as error:
            if "alembic_version" in str(error.orig):
                return None
            raise


def upgrade(engine: Engine) -> bool:
    """Upgrade the store to `HEAD`; return whether anything had to be done.

    Alembic is imported only if needed: importing it takes longer than starting a command.

    Raises
    ------
    InputError
        If the store was written by a newer DyNamo.
    """
    if current_revision(engine) == HEAD:
        return False
    from alembic import command

    config = alembic_config()
    with _alone(engine):
        if refuse_newer(engine) == HEAD:
            return False
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return True


def refuse_newer(engine: Engine) -> str | None:
    """Return the store's revision; raise `InputError` if it was written by a newer DyNamo."""
    found = current_revision(engine)
    if found is None or found == HEAD:
        return found
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if found not in known:
        raise InputError(
            f"the store is at revision {found}, unknown to this DyNamo",
            where=safe_url(engine.url),
            expected=f"at most {HEAD}",
            hint="use the newer DyNamo that wrote it",
        )
    return found


def alembic_config() -> Config:
    """Return where the migrations are, for Alembic's commands."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """Hold the store's migration lock, which is released if the process dies."""
    if engine.dialect.name == "sqlite":
        lock = Path(f"{engine.url.database}.lock")
        private_file(lock)
        with lock.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection, _advisory(connection):
        yield


@contextlib.contextmanager
def _advisory(connection: Connection) -> Iterator[None]:
    connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_KEY})
    connection.commit()
    try:
        yield
    finally:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_KEY})
        connection.commit()
