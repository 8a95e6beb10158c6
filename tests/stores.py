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


@pytest.fixture(scope="session", autouse=True)
def copied_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let new SQLite stores of this process start as copies of one; existing ones are upgraded as ever."""
    template = tmp_path_factory.mktemp("template") / "store.sqlite"
    open_store(template).close()
    migrated = template.read_bytes()

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
