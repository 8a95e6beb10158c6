"""Stores copied from one that was migrated: migrating takes longer than most unit tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from dynamo.store import engine as opening
from dynamo.store.engine import open_store
from dynamo.store.upgrade import upgrade

_ONE = threading.Lock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a new SQLite store."""
    template = tmp_path_factory.mktemp("template") / "store.sqlite"
    open_store(template).close()
    return template.read_bytes()


@pytest.fixture(scope="session", autouse=True)
def copied_stores(migrated: bytes) -> Iterator[None]:
    """Let new SQLite stores of this process start as copies of one; existing ones are upgraded as ever."""

    def copy_or_upgrade(engine: Engine) -> bool:
        file = Path(engine.url.database or "")
        with _ONE:
            new = engine.dialect.name == "sqlite" and not file.stat().st_size
            if new:
                file.write_bytes(migrated)
        return upgrade(engine) or new

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening, "upgrade", copy_or_upgrade)
        yield


@pytest.fixture
def migrating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test's new stores be migrated, as in life."""
    monkeypatch.setattr(opening, "upgrade", upgrade)
