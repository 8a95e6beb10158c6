"""`engine.json` of a run on a pool: written before HTCondor is contacted, so that a crash loses nothing."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from dynamo.engines.base import EngineError, RunFolder
from dynamo.files import replacing, sync_directory

ENGINE = "condor"
_LOCK = "engine.lock"


@dataclass(frozen=True)
class Handle:
    """One attempt at a run.

    Attributes
    ----------
    tag
        Value of the attribute ``DynamoRun`` of all its jobs; unique to the attempt.
    created
        Start of the attempt, ISO 8601.
    cluster
        HTCondor cluster id of the run's job; None until it is known to be submitted.
    cancelled
        Why the run was cancelled; None if it was not.
    gone
        Whether a cancelled run is known to have no jobs left.
    engine
        The engine's name.
    """

    tag: str
    created: str
    cluster: int | None = None
    cancelled: str | None = None
    gone: bool = False
    engine: str = ENGINE


_HANDLE = TypeAdapter(with_config(ConfigDict(extra="forbid"))(Handle))


def read_handle(folder: RunFolder, *, engine: str = ENGINE) -> Handle | None:
    """Return the handle of the run, or None if it was not submitted to an engine.

    Raises
    ------
    EngineError
        If another engine has the run, or the file cannot be read.
    """
    try:
        data = orjson.loads(folder.engine_file.read_bytes())
    except FileNotFoundError:
        return None
    except orjson.JSONDecodeError as error:
        raise EngineError(f"not a handle: {error}", where=folder.engine_file) from None
    if not isinstance(data, dict):
        raise EngineError("not a handle", where=folder.engine_file, expected="an object {...}")
    if data.get("engine") != engine:
        raise EngineError(f"the run belongs to engine {data.get('engine')!r:.40}", where=folder.root, expected=engine)
    try:
        return _HANDLE.validate_python(data)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        place = ".".join(map(str, found["loc"]))
        raise EngineError(f"not a handle: {place}: {found['msg']}", where=folder.engine_file) from None


def write_handle(folder: RunFolder, handle: Handle) -> None:
    """Store the handle durably: it survives a power failure."""
    with replacing(folder.engine_file, private=True) as partial, partial.open("wb") as stream:
        stream.write(orjson.dumps(asdict(handle)))
        stream.flush()
        os.fsync(stream.fileno())
    sync_directory(folder.root)


@contextlib.contextmanager
def only_one(folder: RunFolder) -> Iterator[None]:
    """Let one process at a time start or stop the run; the lock is released if its holder dies."""
    with (folder.root / _LOCK).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
