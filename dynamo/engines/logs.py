"""Reading the logs of a run's jobs, after it or while they grow."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dynamo.engines.output import clean

#: Where following begins in a file that is there already: this many bytes before its end.
_BACK_BYTES = 64 * 1024
_MOST_BYTES = 1 << 20
#: What HTCondor writes of a task.
_KINDS = (".out", ".err")
#: Attempts at a task whose output is kept beside that of the newest one; the last place is that of the latest of them.
_MOST_ATTEMPTS = 10
#: HTCondor's log tells times in whole seconds.
_LOG_CLOCK_S = 1.0


def log_files(root: Path) -> list[Path]:
    """Return the files in a run folder that its jobs and their programs wrote, without the empty ones."""
    # Pegasus's programs and jobs log in folders of their own.
    pegasus = [path for name in ("pegasus-*.log", "*.err") for path in sorted((root / "pegasus").rglob(name))]
    found = [*sorted((root / "logs").glob("*")), *pegasus, root / "runner.log"]
    return [path for path in found if path.is_file() and path.stat().st_size]


def read_log(path: Path, lines: int | None = None) -> str:
    """Return a log, or its last ``lines``, fit for a terminal."""
    text = clean(path.read_text(errors="replace"))
    return "\n".join(text.splitlines() if lines is None else text.splitlines()[-lines:])


def set_aside(logs: Path, task: str, at: datetime) -> None:
    """Keep what an attempt at a task wrote, as ``TASK.1.out``, ``TASK.1.err`` and so on, before the next overwrites it.

    Files that were written later than ``at`` are of the next attempt already.
    """
    number = 1
    while number < _MOST_ATTEMPTS and any((logs / f"{task}.{number}{kind}").exists() for kind in _KINDS):
        number += 1
    for kind in _KINDS:
        path = logs / f"{task}{kind}"
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            if status.st_size and status.st_mtime <= at.timestamp() + _LOG_CLOCK_S:
                path.replace(logs / f"{task}.{number}{kind}")


def newest_log(logs: Path, task: str, kind: str) -> Path:
    """Return the log of the last attempt at a task that wrote any."""
    names = [f"{task}{kind}", *(f"{task}.{number}{kind}" for number in range(_MOST_ATTEMPTS, 0, -1))]
    return next((path for name in names if (path := logs / name).is_file() and path.stat().st_size), logs / names[0])


class Follower:
    """What is new in the logs of a run.

    Parameters
    ----------
    root
        The run folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._places: dict[Path, int] = {}

    def news(self, *, last: bool = False) -> Iterator[tuple[str, str]]:
        """Yield the name of a log and a line of it, for each that was written since the last call.

        A line that is not finished waits for its end, unless this is the ``last`` look.
        """
        for path in log_files(self._root):
            if path.suffix == ".sub":
                continue
            size = path.stat().st_size
            place = self._places.get(path, max(0, size - _BACK_BYTES))
            if size < place:
                # It was begun anew by another attempt.
                place = 0
            while place < size:
                with path.open("rb") as stream:
                    stream.seek(place)
                    data = stream.read(min(size - place, _MOST_BYTES))
                end = len(data) if last or len(data) == _MOST_BYTES else data.rfind(b"\n") + 1
                if not end:
                    break
                place += end
                for line in clean(data[:end].decode(errors="replace")).splitlines():
                    yield path.relative_to(self._root).as_posix(), line
            self._places[path] = place
