"""The folder of a run; whoever works on the run holds a lock on it, which ends with the process."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from dynamo.engines.base import RunFolder
from dynamo.store.models import Run

_LOCK = "lock"


def folder_of(run: Run) -> RunFolder:
    """Return the folder of a run."""
    return RunFolder(Path(run.run_dir))


@contextlib.contextmanager
def claimed(run_dir: Path) -> Iterator[bool]:
    """Hold the run for the duration of the block; yield False, without waiting, if another process holds it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / _LOCK).open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
