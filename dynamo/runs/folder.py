"""The folder of a run; whoever works on the run holds a lock on it, which ends with the process."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from sqlalchemy.orm import Session

from dynamo.engines.base import RunFolder
from dynamo.files import private_file, private_folder
from dynamo.store.lease import NAME, is_free
from dynamo.store.models import ProcessLease, Run
from dynamo.times import utc_now

_LOCK = "lock"
#: Whoever only looks whether a run is worked on holds its lock for an instant: a claim is repeated.
_TRIES, _PAUSE_S = 5, 0.02
#: Seconds that a process has to claim a run which it, or another for it, has just put into the store.
_START_S = 10.0


def folder_of(run: Run) -> RunFolder:
    """Return the folder of a run."""
    return RunFolder(Path(run.run_dir))


@contextlib.contextmanager
def claimed(run_dir: Path) -> Iterator[bool]:
    """Hold the run for the duration of the block; yield False, without waiting, if another process holds it."""
    private_folder(run_dir)
    private_file(run_dir / _LOCK)
    with (run_dir / _LOCK).open("a") as stream:
        yield _locked(stream)


@contextlib.contextmanager
def borrowed(run_dir: Path) -> Iterator[bool]:
    """Hold a finished run as `claimed` does, though its folder may have been tidied; leave no empty one behind."""
    with claimed(run_dir) as free:
        try:
            yield free
        finally:
            if free:
                leave_none(run_dir)


def leave_none(run_dir: Path) -> None:
    """Remove the folder of a run that was tidied, and that was made again for its lock."""
    if run_dir.is_dir() and len(list(run_dir.iterdir())) == 1:
        shutil.rmtree(run_dir, ignore_errors=True)


def is_attended(session: Session, run: Run) -> bool:
    """Tell whether a process works on an unfinished run or will: its own, or the store's daemon.

    Without a word from another machine, where its folder is, the answer is yes.
    """
    folder = Path(run.run_dir)
    if not folder.parent.is_dir() or (utc_now() - run.updated_at).total_seconds() < _START_S:
        return True
    daemon = session.get(ProcessLease, NAME)
    if daemon is not None and not is_free(daemon):
        return True
    try:
        with (folder / _LOCK).open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def clear_work(run: Run) -> None:
    """Remove what the jobs of a run wrote, so that all of it is made again; its inputs stay."""
    folder = folder_of(run)
    for part in (folder.work, folder.results, folder.logs, folder.tasks):
        shutil.rmtree(part, ignore_errors=True)


def _locked(stream: IO[str]) -> bool:
    for left in reversed(range(_TRIES)):
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if left:
                time.sleep(_PAUSE_S)
    return False
