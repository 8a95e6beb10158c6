"""A fleet on the sandbox whose provisioner dies where it is told to, and a pool made of the servers' folders."""

# ruff: noqa: ARG002 - methods of one form, of which some need less
from __future__ import annotations

import os
import re
import signal
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from sqlalchemy import Engine, event, select
from sqlalchemy.orm import Session

from dynamo.provision.cycle.reconcile import CycleReport
from dynamo.provision.fleets import apply_fleet, scale, set_fleet_state
from dynamo.provision.keeping import fleet_loop
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.pool_link import FinishedJob, JoinPapers, PoolView, WorkerSlots
from dynamo.provision.sites.base import FLEET_TAG
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.states import ENDING
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import FleetEvent, Worker
from dynamo.times import utc_now
from tests.openstack.sandbox import Sandbox

SITE = "Chameleon:CHI@UC"
RUNS_ON = "#!/bin/sh\nexec sleep 600\n"


class FolderPool:
    """Implements `PoolLink`: a worker is in the pool when its server has begun to run on this machine.

    Parameters
    ----------
    servers
        The sandbox's folder of servers.
    drained
        A folder with a file for each worker that was drained.
    """

    def __init__(self, servers: Path, drained: Path) -> None:
        self._servers = servers
        self._drained = drained
        drained.mkdir(exist_ok=True)

    def ensure(self) -> None:
        pass

    def view(self) -> PoolView:
        now = utc_now()
        workers = {}
        for folder in self._servers.iterdir():
            name = self._name(folder)
            if name:
                drained = (self._drained / name).exists()
                workers[name] = WorkerSlots(name, 1, 0, draining=drained, drained=drained)
        return PoolView(now, now - timedelta(days=1), workers)

    def papers(
        self, worker: str, *, script: str = "", remote: bool = True, options: Mapping[str, object] | None = None
    ) -> JoinPapers:
        return JoinPapers(RUNS_ON, {})

    def admit(self, expected: Collection[str]) -> Sequence[str]:
        return ()

    def revoke(self, workers: Collection[str]) -> None:
        pass

    def drain(self, worker: str, *, deadline_s: float) -> None:
        (self._drained / worker).touch()

    def release(self, jobs: Collection[str]) -> Sequence[str]:
        return ()

    def finished(self, since: datetime) -> Sequence[FinishedJob]:
        return ()

    def stop(self) -> None:
        pass

    @staticmethod
    def _name(folder: Path) -> str:
        """Return the name of a server that runs its user data."""
        try:
            found = re.search(r"^\[machine\] (\S+) runs its user data", (folder / "console.log").read_text(), re.M)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        return found.group(1) if found else ""


class Points:
    """Counts the points that a process passes, and dies at one of them.

    Commits of what was written to the store have two: before and after. Requests that change something have three:
    before, sent but not answered (the cloud goes on with it alone), and answered. Requests that only ask have none:
    dying there is dying after the point before.

    Parameters
    ----------
    deadly
        The number of the point, from 1; 0 for none.
    told
        The file that tells which point it was.
    """

    def __init__(self, deadly: int, told: Path) -> None:
        self._deadly = deadly
        self._told = told
        self._passed = 0
        self._lock = threading.Lock()

    def reached(self, what: str, last_act: Callable[[], object] | None = None) -> None:
        with self._lock:
            self._passed += 1
            if self._passed != self._deadly:
                return
            self._told.write_text(f"{what} (point {self._deadly})")
            if last_act is not None:
                last_act()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Make points of all commits and requests of this process, from now to its end."""
        wrote = threading.local()

        def noted(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            if not statement.startswith(("SELECT", "BEGIN", "PRAGMA")):
                wrote.what = statement[:60]

        def before(_session: Session) -> None:
            if getattr(wrote, "what", ""):
                self.reached(f"before the commit of {wrote.what}")

        def after(_session: Session) -> None:
            what, wrote.what = getattr(wrote, "what", ""), ""
            if what:
                self.reached(f"after the commit of {what}")

        event.listen(Engine, "before_cursor_execute", noted)
        event.listen(Session, "before_commit", before)
        event.listen(Session, "after_commit", after)
        send = requests.Session.send

        def counted(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            changes = request.method != "GET" and not str(request.url).endswith("/auth/tokens")
            what = f"{request.method} {request.path_url}"
            if changes:
                self.reached(f"before {what}")
                self.reached(f"in {what}", lambda: send_only(request))
            answer = send(session, request, **options)
            if changes:
                self.reached(f"after {what}")
            return answer

        requests.Session.send = counted  # type: ignore[method-assign, assignment]


def send_only(request: requests.PreparedRequest) -> None:
    """Send a request and do not wait for its answer."""
    url = urlsplit(str(request.url))
    connection = HTTPConnection(str(url.hostname), url.port or 80, timeout=10)
    body: Any = request.body
    connection.request(str(request.method), request.path_url, body=body, headers=dict(request.headers))
    # The service has it when it is out of this process' hands.
    time.sleep(0.05)


def in_a_process(work: Callable[[], None]) -> bool:
    """Do something in a child; tell whether it came to its end, or was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, left = os.waitpid(child, 0)
    if os.WIFSIGNALED(left):
        return False
    assert os.WEXITSTATUS(left) == 0, "the loop failed, see above"
    return True


class FleetHere:
    """A fleet of one group at the sandbox, looked after by processes of a test.

    Parameters
    ----------
    folder
        Of the store and the pool.
    clouds
        The ``clouds.yaml``.
    timeout_s
        How long one call may take, and how long a lost one is waited for.
    policy
        Of the spec.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        folder: Path,
        *,
        count: int = 1,
        clouds: Path | None = None,
        timeout_s: float = 8.0,
        policy: Mapping[str, object] | None = None,
        group: Mapping[str, object] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.sandbox = sandbox
        self._document: dict[str, Any] = {
            "name": "fleet",
            "sites": {
                SITE: {
                    "driver": "openstack",
                    "cloud": "uc",
                    "region": "CHI@UC",
                    "timeout_s": timeout_s,
                    "boot_timeout_s": 120,
                    "options": {"config_file": str(clouds or sandbox.clouds_yaml)},
                }
            },
            "compute": [
                {
                    "name": "k",
                    "site": SITE,
                    "count": count,
                    "min": 0,
                    "max": 8,
                    "flavor": "m1.tiny",
                    "image": "CC-Ubuntu22.04",
                    "network": "sharednet1",
                    **(group or {}),
                }
            ],
            "policy": {"cycle_s": 1, "breaker": {"base_s": 2, "max_s": 8}, **(policy or {})},
        }
        self.apply()

    def apply(self, **group: object) -> None:
        """Apply the spec, with changes of its group."""
        self._document["compute"][0].update(group)
        spec = load_spec(self._document)
        with self.stored() as session:
            self.id = apply_fleet(session, spec, base=self.folder, now=utc_now())[0].id

    @contextmanager
    def stored(self) -> Iterator[Session]:
        store = self.store()
        try:
            with store.transaction() as session:
                yield session
        finally:
            store.close()

    def store(self) -> Store:
        return open_store(self.folder / "store.sqlite")

    def scale(self, count: int) -> None:
        with self.stored() as session:
            scale(session, "fleet", "k", count, utc_now())

    def end(self) -> None:
        with self.stored() as session:
            set_fleet_state(session, "fleet", ENDING, utc_now())

    @contextmanager
    def loop(self) -> Iterator[FleetLoop]:
        """Look after the fleet in this process."""
        pool = FolderPool(self.sandbox.state / "data" / "servers", self.folder / "drained")
        store = self.store()
        try:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(fleet_loop, "open_link", lambda *_: pool)
                with FleetLoop(store, "fleet") as opened:
                    yield opened
        finally:
            store.close()

    def run(self, wanted: int, timeout_s: float = 150.0) -> None:
        """Look after it until it is as it should be."""

        def done(report: CycleReport) -> bool:
            return report.ended or (wanted > 0 and report.settled and report.target == {"k": wanted})

        with self.loop() as loop:
            report = loop.run_until(done, timeout_s=timeout_s)
        assert done(report), f"it did not come to what is wanted: {report}"

    def workers(self) -> list[Worker]:
        with self.stored() as session:
            return list(session.scalars(select(Worker).order_by(Worker.id)))

    def events(self, action: str) -> list[FleetEvent]:
        with self.stored() as session:
            return list(session.scalars(select(FleetEvent).where(FleetEvent.action == action).order_by(FleetEvent.id)))

    def servers(self) -> dict[str, str]:
        """Return what nova has of the fleet, as its administrator sees it: names by server id."""
        found = self.sandbox.admin.compute.servers(details=True, all_projects=True)
        return {str(server.id): str(server.name) for server in found if server.metadata.get(FLEET_TAG) == self.id}

    def check(self, wanted: int) -> None:
        """Store and site agree, and nothing is left over."""
        workers = self.workers()
        assert self.servers() == {worker.server_id: worker.name for worker in workers if worker.state == "ready"}
        assert len([worker for worker in workers if worker.state == "ready"]) == wanted
        assert {worker.state for worker in workers} <= {"ready", "released", "lost"}

    def clean(self) -> None:
        for server_id in self.servers():
            self.sandbox.admin.compute.delete_server(server_id)
