"""A handle on the OpenStack sandbox for tests: start it, find it, clean it, stop it."""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openstack.compute.v2.server import Server
    from openstack.connection import Connection

HERE = Path(__file__).resolve().parent
COMPUTE_PORT = 28774
MEMCACHED_PORT = 21211
GATEWAY = "10.140.0.1"
"""This machine's address as the servers see it: what they are to reach must listen here (or on all addresses)."""


def default_state() -> Path:
    """Where the sandbox lives: `OPENSTACK_SANDBOX_STATE`, as the scripts read it."""
    if given := os.environ.get("OPENSTACK_SANDBOX_STATE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "openstack-sandbox"


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is up.

    Parameters
    ----------
    state
        The folder that holds everything it wrote.
    """

    state: Path

    @classmethod
    def running(cls) -> Sandbox:
        """The sandbox of this environment; it is not checked whether it answers."""
        return cls(default_state())

    @classmethod
    def start(cls, *, timeout_s: float = 300.0, **settings: str) -> Sandbox:
        """Bring the sandbox up (2 s where it is up already).

        Parameters
        ----------
        timeout_s
            How long that may take, in seconds.
        settings
            Further variables for `up.sh`, as ``COMPUTES`` or ``COMPUTE_DRIVER``.

        Raises
        ------
        RuntimeError
            If it does not come up; carries the end of what `up.sh` said.
        """
        sandbox = cls(default_state())
        sandbox._script("up.sh", timeout_s=timeout_s, settings=settings)
        return sandbox

    def stop(self, *, wipe: bool = False) -> None:
        """Stop every process of the sandbox and of its servers; `wipe` also removes the data."""
        self._script("down.sh", *(["--wipe"] if wipe else []), timeout_s=120, settings={})

    @property
    def clouds_yaml(self) -> Path:
        """Credentials: clouds `uc`, `tacc` (project member) and `uc-admin`, `tacc-admin`."""
        return self.state / "clouds.yaml"

    def connect(self, cloud: str = "uc") -> Connection:
        """Connect with the SDK; only the sandbox's own file is read."""
        return self.connect_with(self.clouds_yaml, cloud)

    @staticmethod
    def connect_with(clouds_yaml: Path, cloud: str = "uc") -> Connection:
        """Connect with another clouds.yaml, as those that `faults` writes."""
        from openstack.config import OpenStackConfig
        from openstack.connection import Connection

        found = OpenStackConfig(config_files=[str(clouds_yaml)], load_envvars=False).get_one(cloud=cloud)
        return Connection(config=found)

    @cached_property
    def admin(self) -> Connection:
        """The administrator's connection, kept."""
        return self.connect("uc-admin")

    def server_root(self, server_id: str) -> Path:
        """The folder of a server on this machine: console.log, user-data, disk/ (what it wrote)."""
        return self.state / "data" / "servers" / server_id

    def delete_servers(self, *, prefix: str = "", timeout_s: float = 180.0) -> int:
        """Delete all servers of all projects whose name begins with `prefix`, and wait until none is left.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        TimeoutError
            If some are still there after `timeout_s`.
        """
        found = self._servers(prefix)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda server: self.admin.compute.delete_server(server.id), found))
        deadline = time.monotonic() + timeout_s
        while left := self._servers(prefix):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(left)} servers of the sandbox do not go")
            time.sleep(0.3)
        return len(found)

    def _servers(self, prefix: str) -> list[Server]:
        every = self.admin.compute.servers(details=False, all_projects=True)
        return [server for server in every if str(server.name).startswith(prefix)]

    def delete_leases(self, *, prefix: str = "") -> int:
        """Delete every Blazar lease of that name (ends the servers on it); how many there were."""
        from keystoneauth1.session import Session

        session: Session = self.admin.session
        where = {"service_type": "reservation", "region_name": self.admin.config.region_name, "interface": "public"}
        every = session.get("/leases", endpoint_filter=where).json()["leases"]
        leases = [lease for lease in every if lease["name"].startswith(prefix)]
        for lease in leases:
            session.delete(f"/leases/{lease['id']}", endpoint_filter=where, raise_exc=False)
        return len(leases)

    def processes_of(self, server_id: str) -> Iterator[int]:
        """The processes of this machine that belong to a server, by the mark in their environment."""
        mark = f"INSTANCE_ID={server_id}".encode()
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    marked = mark in (folder / "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if marked:
                    yield int(folder.name)

    def _script(self, name: str, *arguments: str, timeout_s: float, settings: dict[str, str]) -> None:
        # Into a file, not a pipe: the daemons that the script starts would keep a pipe open.
        self.state.mkdir(parents=True, exist_ok=True)
        said = self.state / f"{name}.log"
        environment = {**os.environ, **settings, "OPENSTACK_SANDBOX_STATE": str(self.state)}
        with said.open("wb") as sink:
            done = subprocess.run(
                [str(HERE / name), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout_s,
                check=False,
            )
        if done.returncode:
            tail = said.read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{name} of the OpenStack sandbox left with {done.returncode}:\n{tail}")
