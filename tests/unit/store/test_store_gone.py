"""A store that is removed or replaced while it is open: nothing is written to what is lost."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from dynamo.runs.events import RunEvents
from dynamo.runs.patience import patiently
from dynamo.store.engine import StoreGoneError, open_store
from dynamo.store.models import Cursor
from dynamo.store.standing import Standing


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _move(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def _replace(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    open_store(folder / "store.sqlite").close()


def _remove_file(folder: Path) -> None:
    for path in folder.glob("store.sqlite*"):
        path.unlink()


@pytest.mark.parametrize("lose", [_remove, _move, _replace, _remove_file])
def test_an_open_store_that_is_lost_is_noticed_by_every_call(tmp_path: Path, lose: Callable[[Path], None]) -> None:
    store = open_store(tmp_path / "state" / "store.sqlite")
    with store.reading() as session:
        assert session.scalars(select(Cursor)).all() == []
    store.check()
    lose(tmp_path / "state")
    with pytest.raises(StoreGoneError, match=r"state/store\.sqlite: the store was removed or replaced"):
        store.check()
    with pytest.raises(StoreGoneError), store.reading():
        pass
    with pytest.raises(StoreGoneError), store.transaction():
        pass
    # Waiting would not bring it back.
    with pytest.raises(StoreGoneError):
        patiently(store.check, stop=threading.Event(), events=RunEvents(), subject="a run")
    store.close()


def test_a_state_folder_without_the_store_in_it_is_watched_too(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store.sqlite")
    state = tmp_path / "state"
    standing = Standing(store, state)
    standing.check()
    state.mkdir()
    standing.check()
    standing.check()
    state.rename(tmp_path / "moved")
    with pytest.raises(StoreGoneError, match="state: the state folder was removed or replaced"):
        standing.check()
    state.mkdir()
    with pytest.raises(StoreGoneError):
        standing.check()
    standing.close()
    store.close()
