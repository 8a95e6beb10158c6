"""The record `dynamo pool up` leaves of the pool it started, so that later commands find exactly that pool."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from dynamo.errors import BusyError
from dynamo.files import write_bytes
from dynamo.pool.processes import Process, boot_id, descendants, with_environment

STATE_VARIABLE = "DYNAMO_POOL_DIR"
RECORD = "pool.json"
CONFIGURATION = "condor_config"
#: Environment variable of every daemon and job; its value is the pool's id.
MARK = "DYNAMO_POOL_ID"


@dataclass(frozen=True)
class PoolRecord:
    """One started pool.

    ``boot`` identifies the boot it was started in. ``address`` and ``port`` are where others reach a ``manager`` pool;
    a ``personal`` one has no port.
    """

    id: str
    state: str
    config: str
    bin: str
    sbin: str
    version: str
    user: str
    slots: int
    master_pid: int
    master_start_ticks: int
    boot: str
    started: str
    kind: str = "personal"
    address: str = "127.0.0.1"
    port: int = 0

    @property
    def master(self) -> Process:
        """The condor_master."""
        return Process(self.master_pid, self.master_start_ticks)

    def running(self) -> bool:
        """Return whether the recorded master is still running."""
        return self.boot == boot_id() and self.master.alive()

    def processes(self) -> list[Process]:
        """Return this pool's daemons and jobs: all that have its mark or descend from its master."""
        # In a container even root may not read another account's process environment, but it can see parents.
        found = set(with_environment(f"{MARK}={self.id}"))
        if self.boot == boot_id():
            found |= set(descendants(self.master))
        return sorted(found, key=lambda process: process.pid)


def default_state() -> Path:
    """Return the folder of the user's pool: ``DYNAMO_POOL_DIR``, or one in the user's state folder."""
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return (Path(home).expanduser() / "dynamo" / "pool").absolute()


def read_record(state: Path) -> PoolRecord | None:
    """Return the record in the folder, or None if missing or unreadable."""
    try:
        fields = orjson.loads((state / RECORD).read_bytes())
        return PoolRecord(**fields)
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None


def write_record(record: PoolRecord) -> None:
    """Store the record in its state folder."""
    write_bytes(Path(record.state) / RECORD, orjson.dumps(asdict(record), option=orjson.OPT_INDENT_2))


def remove_record(state: Path) -> None:
    """Remove the pool's record."""
    (state / RECORD).unlink(missing_ok=True)


@contextlib.contextmanager
def only_one(state: Path, timeout_s: float = 30.0) -> Iterator[None]:
    """Hold the pool's lock, which serializes concurrent `up` and `down`.

    Raises
    ------
    BusyError
        If another process holds it for ``timeout_s`` seconds.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = time.monotonic() + timeout_s
    with (state / ".lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise BusyError("another command is starting or stopping this pool", where=state) from None
                time.sleep(0.1)
        yield
