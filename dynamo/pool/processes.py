"""Processes of this machine, told apart by more than their number, which the system gives out again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
#: What daemons and servers of this machine get of our environment. The rest may hold secrets (a cloud's password, a
#: token), and every job can read the environment of the daemon that runs it.
_INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "LD_LIBRARY_PATH",
     "JAVA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"}
)  # fmt: skip


@dataclass(frozen=True)
class Process:
    """A process id together with its start, in clock ticks since the machine's start."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Tell whether this very process runs (one that only waits to be reaped does not)."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] != "Z" and int(fields[19]) == self.start_ticks

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process is still there."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def _stat(pid: int) -> list[str] | None:
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the name in brackets and may hold blanks and brackets itself.
    return text.rpartition(")")[2].split()


def find(pid: int) -> Process | None:
    """Return the running process of that number."""
    fields = _stat(pid)
    if fields is None or fields[0] == "Z":
        return None
    return Process(pid, int(fields[19]))


def plain_environment() -> dict[str, str]:
    """Return the part of this process's environment that may go to daemons, servers and, through them, to jobs."""
    return {name: value for name, value in os.environ.items() if name.upper() in _INHERITED or name.startswith("LC_")}


def boot_id() -> str:
    """Return what is different after each start of the machine."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def with_environment(*entries: str) -> list[Process]:
    """Return the processes, of those we may look into, that were started with one of ``NAME=value``."""
    wanted = {entry.encode(errors="surrogateescape") for entry in entries}
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if not wanted.isdisjoint(environment.split(b"\0")):
            process = find(int(folder.name))
            if process is not None:
                found.append(process)
    return found


def descendants(process: Process) -> list[Process]:
    """Return the process and all that it started, directly or not, as far as their parents still run."""
    if not process.alive():
        return []
    children: dict[int, list[int]] = {}
    for folder in _PROC.iterdir():
        fields = _stat(int(folder.name)) if folder.name.isdigit() else None
        if fields is not None:
            children.setdefault(int(fields[1]), []).append(int(folder.name))
    found, todo = [], [process.pid]
    while todo:
        pid = todo.pop()
        found.append(find(pid))
        todo += children.get(pid, [])
    return [one for one in found if one is not None]


def name_of(process: Process) -> str:
    """Return the name of the program, or an empty string when it has ended."""
    try:
        return (_PROC / str(process.pid) / "comm").read_text().strip()
    except OSError:
        return ""


def wait_gone(processes: Iterable[Process], timeout_s: float) -> list[Process]:
    """Wait until the processes have ended; return those that have not after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    left = [process for process in processes if process.alive()]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if process.alive()]
    return left
