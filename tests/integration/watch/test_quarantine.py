"""A refused file that is released is taken: by the daemon that runs, and by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo.errors import InputError
from dynamo.inspection.process import inspect
from dynamo.store.models import Arrival
from dynamo.watch.quarantined import release
from tests.integration.watch.test_watch import Followed, config_for, stored
from tests.integration.watch.watch_support import write_small
from tests.waiting import wait_for


def test_a_released_file_is_taken_by_this_daemon_or_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dynamo").mkdir()
    followed = Followed(config_for(tmp_path))
    mended = False

    def refuse(path: Path, levels: object) -> object:
        if mended:
            return inspect(path, levels)  # type: ignore[arg-type]
        raise InputError("a format of tomorrow", where=path)

    monkeypatch.setattr("dynamo.watch.examining.inspect", refuse)
    store = followed.watcher.service.store
    with followed.watcher:
        for minute in (0, 1):
            write_small(tmp_path / "incoming", minute)
        followed.wait("quarantined", 2)
        first, second = wait_for(lambda: len(found := stored(tmp_path, Arrival)) == 2 and found)
        wait_for(lambda: all(row.moved_to for row in stored(tmp_path, Arrival)))
        release(store, str(first.id), "to see whether it is refused again")
        followed.wait("quarantined", 3)
        wait_for(lambda: all(row.moved_to for row in stored(tmp_path, Arrival)))
        mended = True
        release(store, str(first.id), "the reader was mended")
        followed.wait("published")
    followed = Followed(config_for(tmp_path))
    release(followed.watcher.service.store, str(second.id), "the reader was mended")
    with followed.watcher:
        followed.wait("published")
    assert [row.state for row in stored(tmp_path, Arrival)] == ["accepted", "accepted"]
