"""What the link must remember about each worker after a kill: one small file each, without secrets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import orjson

from dynamo.files import replacing


@dataclass(frozen=True)
class WorkerNote:
    """One worker.

    Attributes
    ----------
    serial
        Serial of the valid papers; empty once the worker has joined or if there are none.
    boot_until
        When the papers expire, in seconds since 1970.
    token_until
        When the last token that may exist expires.
    revoked
        Whether its tokens are revoked.
    drain_until
        When its jobs are killed; 0 while it is not draining.
    """

    worker: str
    serial: str = ""
    boot_until: float = 0.0
    token_until: float = 0.0
    revoked: bool = False
    drain_until: float = 0.0

    def but(self, **changed: object) -> WorkerNote:
        """Return a copy with changed fields."""
        return replace(self, **changed)  # type: ignore[arg-type]


_FIELDS = frozenset(field.name for field in fields(WorkerNote))


class Memory:
    """The notes in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, worker: str) -> WorkerNote:
        """Return a worker's note; an empty one if there is none."""
        try:
            told = orjson.loads(self._path(worker).read_bytes())
            # Another version may have written more.
            return WorkerNote(**{name: value for name, value in told.items() if name in _FIELDS})
        except (OSError, orjson.JSONDecodeError, TypeError, AttributeError):
            return WorkerNote(worker)

    def put(self, note: WorkerNote) -> None:
        """Write a note durably, readable by the operator only."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(self._path(note.worker)) as partial:
            partial.unlink(missing_ok=True)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(orjson.dumps(asdict(note)))
                stream.flush()
                os.fsync(stream.fileno())

    def forget(self, worker: str) -> None:
        """Remove a note."""
        self._path(worker).unlink(missing_ok=True)

    def all(self) -> Iterator[WorkerNote]:
        """Yield all notes."""
        for path in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else []:
            yield self.get(path.name.removesuffix(".json"))

    def _path(self, worker: str) -> Path:
        return self._folder / f"{worker}.json"
