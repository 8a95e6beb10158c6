"""What the link must remember of each worker after a kill: one small file each, and nothing in it that is a secret."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from dynamo.files import replacing


@dataclass(frozen=True)
class WorkerNote:
    """One worker.

    Attributes
    ----------
    serial
        The papers that are valid; empty once they have served or where none were made.
    used, answer
        The papers that served, and the request that was answered by it: an answer that a kill cut off can be given
        again, to that request only.
    boot_until
        When they run out, in seconds since 1970.
    token_until
        When the last token that may be about runs out.
    revoked
        Whether its tokens are worthless.
    drain_until
        When its jobs are ended after all; 0 while it is not drained.
    """

    worker: str
    serial: str = ""
    used: str = ""
    answer: str = ""
    boot_until: float = 0.0
    token_until: float = 0.0
    revoked: bool = False
    drain_until: float = 0.0

    def but(self, **fields: object) -> WorkerNote:
        """Return a copy with other fields."""
        return replace(self, **fields)  # type: ignore[arg-type]


class Memory:
    """The notes in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, worker: str) -> WorkerNote:
        """Return the note on a worker; an empty one if there is none."""
        try:
            return WorkerNote(**orjson.loads(self._path(worker).read_bytes()))
        except (OSError, orjson.JSONDecodeError, TypeError):
            return WorkerNote(worker)

    def put(self, note: WorkerNote) -> None:
        """Write a note, readable by the operator only, so that a power cut does not lose it."""
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
