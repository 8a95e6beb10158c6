"""Processes on this machine, identified by more than their pid, which the system reuses."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
#: Variables that local daemons and servers inherit. The rest may contain secrets (a cloud password, a token), and every
#: job can read the environment of the daemon that runs it.
_INHERITED = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TMP", "TEMP", "LD_LIBRARY_PATH",
     "JAVA_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY"}
)  # fmt: skip


@dataclass(frozen=True)
class Process:
    """A process id with its start time, in clock ticks since boot."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """Return whether this exact process is running (zombies do not count)."""
        fields = _stat(self.pid)
        return fields is not None and fields[0] != "Z" and int(fields[19]) == self.start_ticks

    def send(self, number: signal.Signals) -> None:
        """Send a signal if the process still exists."""
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
    # The second field is the name in parentheses, which may itself contain spaces and parentheses.
    return text.rpartition(")")[2].split()


def find(pid: int) -> Process | None:
    """Return the running process with this pid."""
    fields = _stat(pid)
    if fields is None or fields[0] == "Z":
        return None
    return Process(pid, int(fields[19]))


def plain_environment() -> dict[str, str]:
    """Return the part of this process's environment that is safe for daemons, servers and, through them, jobs."""
    return {name: value for name, value in os.environ.items() if name.upper() in _INHERITED or name.startswith("LC_")}


def boot_id() -> str:
    """Return an id that changes with every boot."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def with_environment(*entries: str) -> list[Process]:
    """Return the inspectable processes that were started with one of ``NAME=value`` in their environment."""
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
    """Return the process and its descendants, as far as their parents still run."""
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
    """Return the program name, or an empty string if the process has exited."""
    try:
        return (_PROC / str(process.pid) / "comm").read_text().strip()
    except OSError:
        return ""


def wait_gone(processes: Iterable[Process], timeout_s: float) -> list[Process]:
    """Wait for the processes to exit; return those still running after ``timeout_s`` seconds."""
    deadline = time.monotonic() + timeout_s
    left = [process for process in processes if process.alive()]
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = [process for process in left if process.alive()]
    return left
