"""Opening a store: SQLite in WAL mode by default, PostgreSQL by URL; one `Store` is shared by all threads.

Durability: SQLite runs with ``synchronous=NORMAL``. A killed process loses nothing that was committed; a power failure
may lose the last commits but never corrupts the file, and lost records are recovered by rescanning the feeds and the
``index.json`` of published products.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from dynamo.errors import InputError, MissingPartError, NotFoundError, RetryableError
from dynamo.files import private_file, private_folder
from dynamo.store.upgrade import refuse_newer, upgrade
from dynamo.store.url import safe_url

#: How long a writer waits for another one before giving up, in seconds.
BUSY_TIMEOUT_S = 10.0
#: Device and inode.
_Identity = tuple[int, int]
_MISSING, _UNKNOWN = (0, 0), (-1, -1)


class StoreUnavailableError(RetryableError):
    """The store does not respond, is locked for too long, or its disk is full; a retry may succeed."""


class StoreGoneError(StoreUnavailableError):
    """The store's file was removed or replaced while it was open; what is written to it now is lost."""


class Store:
    """An open store.

    Parameters
    ----------
    engine
        A SQLAlchemy engine created by `open_store`.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        #: What transactions are to know, in each one's ``session.info``.
        self.info: dict[str, Any] = {}
        self._write = sessionmaker(engine, expire_on_commit=False, info=self.info)
        self._read = sessionmaker(engine.execution_options(dynamo_read=True), expire_on_commit=False)
        #: What tells the opened file from a later one at the same path; None for a database that is not a file.
        self._identity: _Identity | None = None

    @property
    def url(self) -> str:
        """The store's URL without its password."""
        return safe_url(self.engine.url)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Session]:
        """Yield a session that is committed as a whole when the block ends, or not at all.

        Raises
        ------
        StoreUnavailableError
            If the store is locked, full, or does not respond; nothing in the block is stored.
        """
        self.check()
        with self._translated(), self._write.begin() as session:
            yield session

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a read-only session; on SQLite it never waits for a writer."""
        self.check()
        with self._translated(), self._read() as session:
            yield session

    def check(self) -> None:
        """Check that the store is still the one that was opened.

        Raises
        ------
        StoreGoneError
            If its file was removed or replaced. Connections that are open would go on writing to the removed file.
        """
        if self._identity is not None and self._file_identity() not in (self._identity, _UNKNOWN):
            raise StoreGoneError(
                "the store was removed or replaced while it was open",
                where=self.engine.url.database,
                hint="start again: a new store is made if there is none",
            )

    def _remember_file(self) -> None:
        if self.engine.dialect.name == "sqlite":
            self._identity = self._file_identity()

    def _file_identity(self) -> _Identity:
        try:
            about = Path(self.engine.url.database or "").stat()
        except (FileNotFoundError, NotADirectoryError):
            return _MISSING
        except OSError:
            # It cannot be looked at now; the database's own error says more.
            return _UNKNOWN
        return about.st_dev, about.st_ino

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise StoreUnavailableError(f"store unavailable: {error.orig}", where=self.url) from error
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise StoreUnavailableError(f"lost connection to the store: {error.orig}", where=self.url) from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(url: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
    """Open a store and upgrade it to the current schema.

    Parameters
    ----------
    url
        A path (SQLite), ``sqlite:///PATH`` or ``postgresql://USER@HOST/DATABASE``.
    busy_timeout_s
        How long a writer waits for another process, in seconds; SQLite only.

    Raises
    ------
    InputError
        If the URL is not one of these, or the store was written by a newer DyNamo.
    MissingPartError
        If the database's driver is not installed.
    StoreUnavailableError
        If the store does not respond.
    """
    engine = _engine(url, busy_timeout_s)
    if engine.dialect.name == "sqlite":
        file = Path(engine.url.database or "")
        private_folder(file.parent)
        private_file(file)
    store = Store(engine)
    try:
        with store._translated():
            upgrade(engine)
        store._remember_file()
    except BaseException:
        store.close()
        raise
    return store


def existing_store(url: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Store:
    """Open a store as `open_store` does, unless it does not exist: looking makes none.

    Raises
    ------
    NotFoundError
        If there is no such SQLite file.
    """
    engine = _engine(url, busy_timeout_s)
    missing = engine.dialect.name == "sqlite" and not Path(engine.url.database or "").exists()
    engine.dispose()
    if missing:
        raise NotFoundError(
            "there is no store yet",
            where=engine.url.database,
            hint="dynamo submit and dynamo watch make it; to look in another one, go to its project's folder, or name "
            "its dynamo.toml with -c",
        )
    return open_store(url, busy_timeout_s=busy_timeout_s)


def check_store(url: str | Path) -> None:
    """Raise what `open_store` would raise, without creating or upgrading the store."""
    engine = _engine(url, BUSY_TIMEOUT_S)
    try:
        if engine.dialect.name != "sqlite" or Path(engine.url.database or "").exists():
            with Store(engine)._translated():
                refuse_newer(engine)
    finally:
        engine.dispose()


def _engine(url: str | Path, busy_timeout_s: float) -> Engine:
    if isinstance(url, Path) or "://" not in url:
        return _sqlite(url, busy_timeout_s)
    return _by_url(url, busy_timeout_s)


def _by_url(text: str, busy_timeout_s: float) -> Engine:
    try:
        url = make_url(text)
        if url.drivername == "sqlite":
            if not url.database or url.database == ":memory:":
                raise InputError(
                    "an in-memory store would be lost with its process", where=safe_url(url), expected="sqlite:///PATH"
                )
            return _sqlite(url.database, busy_timeout_s)
        if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
            return create_engine(
                url.set(drivername="postgresql+psycopg"),
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=20,
                json_serializer=_to_json,
                json_deserializer=orjson.loads,
            )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        # SQLAlchemy's message may repeat the URL, including its password.
        raise InputError(
            "not a store URL", where=safe_url(text), expected="sqlite:///PATH or postgresql://..."
        ) from error
    except ImportError as error:
        raise MissingPartError(
            "the PostgreSQL driver is not installed", where=safe_url(text), hint="pip install 'dynamo-radar[postgres]'"
        ) from error
    raise InputError(
        f"unsupported store {url.drivername}", where="store.url", expected="sqlite:///PATH or postgresql://..."
    )


def _sqlite(path: str | Path, busy_timeout_s: float) -> Engine:
    file = Path(path).absolute()
    engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": busy_timeout_s}, pool_size=10, max_overflow=20)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        # The driver must not start transactions on its own: see `_begin`.
        connection.isolation_level = None
        if not connection.execute("PRAGMA page_count").fetchone()[0]:
            # Pages can be given back one by one only if a store was made so; see `dynamo.store.space`. Asked for later,
            # it would wait for writers.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A deferred transaction that turns from reading to writing fails at once if another one has written in
        # between, whatever the busy timeout; so writers queue when they start.
        read_only = connection.get_execution_options().get("dynamo_read", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _to_json(value: Any) -> str:
    return orjson.dumps(value).decode()
