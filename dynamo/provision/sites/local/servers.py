"""Servers as folders and processes on this machine: each runs its user data like a machine at first boot."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import orjson

from dynamo.files import replacing, write_bytes, write_text
from dynamo.pool.processes import Process, boot_id, descendants, find, plain_environment, wait_gone, with_environment
from dynamo.times import to_iso, utc_now

#: Set in the environment of every process of a server; its value is the server's id.
MARK = "DYNAMO_SERVER_ID"
RECORD = "server.json"
_USER_DATA = "user-data"
_CONSOLE = "console.log"
_SHOWN_BYTES = 16_384
_TRASH = ".trash-"
#: How long a server has to stop by itself.
GRACE_S = 12.0
# What a server runs to switch itself off; its script ends afterwards, and that is all.
_SWITCH = "#!/bin/sh\nexit 0\n"


@dataclass(frozen=True)
class LocalServer:
    """The on-disk record of a server, from before its first process starts.

    ``pid`` is 0 until the process is known; ``boot`` reveals a record from before the machine's last boot. ``network``
    is the name of its network namespace, empty if it uses the machine's.
    """

    id: str
    name: str
    folder: str
    tags: Mapping[str, str]
    flavor: str
    cpus: int
    ram_mb: int
    created: str
    boot: str
    pid: int = 0
    start_ticks: int = 0
    deleting: bool = False
    network: str = ""
    address: str = ""
    fault: str = ""
    command: tuple[str, ...] = field(default=())

    @property
    def leader(self) -> Process | None:
        """The process that represents the machine, if it is running."""
        if self.boot != boot_id():
            return None
        process = Process(self.pid, self.start_ticks) if self.pid else None
        return process if process is not None and process.alive() else None

    def processes(self) -> list[Process]:
        """Return all processes of the server."""
        if self.boot != boot_id():
            return []
        found = set(with_environment(f"{MARK}={self.id}"))
        leader = self.leader
        if leader is not None:
            # In a container even root may not inspect processes of another account, but it sees their parents.
            found |= set(descendants(leader))
        return sorted(found, key=lambda process: process.pid)


def read_server(folder: Path) -> LocalServer | None:
    """Return the server in a folder, or None if there is no readable one."""
    try:
        fields = orjson.loads((folder / RECORD).read_bytes())
        return LocalServer(**{**fields, "command": tuple(fields.get("command", ()))})
    except (OSError, orjson.JSONDecodeError, TypeError):
        return None


def read_servers(root: Path) -> list[LocalServer]:
    """Return all servers in the folders of ``root``."""
    if not root.is_dir():
        return []
    found = [read_server(folder) for folder in sorted(root.iterdir()) if not folder.name.startswith(".")]
    return [server for server in found if server is not None]


def new_id(name: str) -> str:
    """Return a unique server identifier."""
    return f"{name}.{secrets.token_hex(4)}"


def write_server(server: LocalServer) -> None:
    """Store the record."""
    write_bytes(Path(server.folder) / RECORD, orjson.dumps(asdict(server), option=orjson.OPT_INDENT_2))


def prepare(server: LocalServer, user_data: str, private: Mapping[str, bytes]) -> None:
    """Create the server's folder and record; a folder without a record does not count."""
    folder = Path(server.folder)
    if folder.exists():
        shutil.rmtree(folder)
    for part in (folder, folder / "private", folder / "bin"):
        part.mkdir(mode=0o700, parents=True)
    write_text(folder / _USER_DATA, user_data)
    for name in ("poweroff", "shutdown"):
        write_text(folder / "bin" / name, _SWITCH)
        (folder / "bin" / name).chmod(0o700)
    for name, content in private.items():
        with replacing(folder / "private" / Path(name).name) as partial:
            partial.touch(mode=0o600)
            partial.write_bytes(content)
    write_server(server)


def start(server: LocalServer) -> LocalServer:
    """Run the server's user data in its own session, unless it is running already; return the updated record."""
    for process in sorted(with_environment(f"{MARK}={server.id}"), key=lambda one: (one.start_ticks, one.pid)):
        # Its starter was killed before it could record the pid; the first process is the oldest.
        known = replace(server, pid=process.pid, start_ticks=process.start_ticks)
        write_server(known)
        return known
    folder = Path(server.folder)
    script = (folder / _USER_DATA).read_text()
    line = script.split("\n", 1)[0]
    interpreter = line[2:].split() if line.startswith("#!") else ["/bin/sh"]
    kept = plain_environment()
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(folder / "bin"), kept.get("PATH", os.defpath)]),
        "SERVER_ROOT": str(folder),
        "SERVER_CPUS": str(server.cpus),
        "SERVER_MEMORY_MB": str(server.ram_mb),
        "SERVER_MARK": f"{MARK}={server.id}",
        MARK: server.id,
    }
    with (folder / _CONSOLE).open("ab") as log:
        child = subprocess.Popen(
            [*server.command, *interpreter, str(folder / _USER_DATA)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    # It outlives this object on purpose; /proc tells whether it is running.
    child.returncode = 0
    found = find(child.pid)
    known = replace(server, pid=child.pid, start_ticks=found.start_ticks if found else 0)
    write_server(known)
    return known


def end(server: LocalServer, grace_s: float = GRACE_S) -> Sequence[Process]:
    """Stop exactly the server's processes, gracefully first; return those that did not stop."""
    leader = server.leader
    family = server.processes()
    if leader is not None:
        leader.send(signal.SIGTERM)
        wait_gone([leader], grace_s)
    return _end(family, server.processes)


def end_marked(server_id: str) -> Sequence[Process]:
    """Stop the processes marked with a server's id if its record is gone; return those that did not stop."""
    return _end([], lambda: with_environment(f"{MARK}={server_id}"))


def _end(family: Sequence[Process], find_more: Callable[[], list[Process]]) -> Sequence[Process]:
    for number, patience_s in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 3.0)):
        # Including what it started in the meantime.
        family = sorted({*family, *find_more()}, key=lambda process: process.pid)
        family = [process for process in family if process.alive()]
        for process in family:
            process.send(number)
        wait_gone(family, patience_s)
    return [process for process in family if process.alive()]


def remove(server: LocalServer) -> None:
    """Remove the server's folder; it is renamed first, so a partly removed one has another name."""
    folder = Path(server.folder)
    trash = folder.with_name(f"{_TRASH}{server.id}")
    if folder.exists():
        folder.replace(trash)
    shutil.rmtree(trash, ignore_errors=True)


def console(server: LocalServer) -> str:
    """Return the end of what the server printed."""
    try:
        with (Path(server.folder) / _CONSOLE).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _SHOWN_BYTES))
            return log.read().decode(errors="replace")
    except OSError:
        return ""


def sweep(root: Path) -> None:
    """Remove what killed calls left: folders being removed, or without a record."""
    for folder in root.iterdir() if root.is_dir() else []:
        if folder.name.startswith(_TRASH) or (folder.is_dir() and not (folder / RECORD).is_file()):
            shutil.rmtree(folder, ignore_errors=True)


def now_text() -> str:
    """Return the current time as written in records."""
    return to_iso(utc_now())
