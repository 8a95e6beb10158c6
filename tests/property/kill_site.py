"""A site and a pool that are files of a folder: they survive the kill of the process that asked them.

Every call, and every commit of the store, passes points at which the process may be told to die.
"""

# ruff: noqa: ARG002 - methods of one form, of which some need less
from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import event
from sqlalchemy.orm import Session

from dynamo.files import write_bytes, write_text
from dynamo.provision.pool_link import FinishedJob, JoinPapers, PoolView, WorkerSlots
from dynamo.provision.sites.base import FLEET_TAG, Flavor, Quota, Server, ServerRequest, ServerStatus

#: Servers as they are kept.
Bodies = list[dict[str, Any]]
BOOT_S, JOIN_S, DELETE_S = 10.0, 20.0, 10.0
#: A request that the site has taken when its client dies has its effect so much later.
LANDS_S = 12.0


class Points:
    """Counts the points that a process passes; it dies at one of them.

    Parameters
    ----------
    deadly
        The number of that point, from 1; 0 for none.
    only_creations
        Whether only those count that are passed while a server is asked for.
    """

    def __init__(self, deadly: int = 0, *, only_creations: bool = False) -> None:
        self.passed = 0
        self._deadly = deadly
        self._only_creations = only_creations

    def reached(self, last_act: Callable[[], object] | None = None, *, creates: bool = False) -> None:
        """Pass a point; ``last_act`` is what happens elsewhere although the process dies here."""
        if self._only_creations and not creates:
            return
        self.passed += 1
        if self.passed == self._deadly:
            if last_act is not None:
                last_act()
            os.kill(os.getpid(), signal.SIGKILL)

    def watch_commits(self) -> None:
        """Make points of every commit, before and after it, in this process."""
        event.listen(Session, "before_commit", lambda _session: self.reached())
        event.listen(Session, "after_commit", lambda _session: self.reached())


class FileClock:
    """A clock in a file: the process that goes on after a kill goes on at the same instant."""

    def __init__(self, file: Path, start: datetime | None = None) -> None:
        self._file = file
        if start is not None:
            file.write_text(start.isoformat())

    def now(self) -> datetime:
        return datetime.fromisoformat(self._file.read_text())

    def advance(self, seconds: float) -> None:
        write_text(self._file, (self.now() + timedelta(seconds=seconds)).isoformat())


class FileSite:
    """Implements `SiteDriver`; ``log`` has one line for each server that was ever made.

    Parameters
    ----------
    queue_s
        How long a creation is on its way to the site: logging in, looking up what it needs.
    """

    def __init__(self, folder: Path, clock: FileClock, points: Points, queue_s: float = 0.0) -> None:
        self.folder = folder
        self._queue_s = queue_s
        self._clock = clock
        self._points = points
        (folder / "servers").mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        return "File:A"

    def create(self, request: ServerRequest) -> Server:
        self._points.reached(creates=True)
        self._clock.advance(self._queue_s)
        now = self._clock.now()
        there = [body for body in self._bodies() if body["name"] == request.name]
        self._points.reached(
            lambda: self._make(request, now + timedelta(seconds=LANDS_S)) if not there else None, creates=True
        )
        body = there[0] if there else self._make(request, now)
        self._points.reached(creates=True)
        return self._server(body)

    def list(self, fleet: str) -> Sequence[Server]:
        self._points.reached()
        found = [self._server(body) for body in self._bodies() if body["tags"][FLEET_TAG] == fleet]
        self._points.reached()
        return found

    def get(self, server_id: str) -> Server | None:
        self._points.reached()
        found = next((self._server(body) for body in self._bodies() if body["id"] == server_id), None)
        self._points.reached()
        return found

    def delete(self, server_id: str) -> None:
        self._points.reached()
        for body in self._bodies():
            if body["id"] == server_id and "gone_at" not in body:
                end = self._clock.now() + timedelta(seconds=DELETE_S)
                self._write({**body, "gone_at": end.isoformat()})
        self._points.reached()

    def quota(self) -> Quota:
        self._points.reached()
        return Quota(servers=4, servers_used=len(self._bodies()))

    def flavors(self) -> Sequence[Flavor]:
        self._points.reached()
        return (Flavor("small", 2, 4096, 20),)

    def close(self) -> None:
        pass

    def joined(self) -> dict[str, bool]:
        """Return the workers that the collector shows, and whether each takes no more jobs."""
        joins = self._clock.now() - timedelta(seconds=JOIN_S)
        drained = self.folder / "drained"
        return {
            body["name"]: (drained / body["name"]).exists()
            for body in self._bodies()
            if datetime.fromisoformat(body["created_at"]) <= joins and "gone_at" not in body
        }

    def _make(self, request: ServerRequest, lands_at: datetime) -> dict[str, Any]:
        body = {
            "id": f"id-{secrets.token_hex(4)}",
            "name": request.name,
            "tags": dict(request.tags),
            "flavor": request.flavor.name,
            "created_at": lands_at.isoformat(),
        }
        self._write(body)
        with (self.folder / "log").open("a") as log:
            log.write(f"{request.name}\n")
        return body

    def _write(self, body: Mapping[str, Any]) -> None:
        write_bytes(self.folder / "servers" / str(body["id"]), orjson.dumps(body))

    def _bodies(self) -> Bodies:
        now = self._clock.now()
        found = [orjson.loads(file.read_bytes()) for file in (self.folder / "servers").iterdir()]
        return [
            body
            for body in found
            if datetime.fromisoformat(body["created_at"]) <= now
            and ("gone_at" not in body or datetime.fromisoformat(body["gone_at"]) > now)
        ]

    def _server(self, body: Mapping[str, Any]) -> Server:
        made = datetime.fromisoformat(body["created_at"])
        runs = self._clock.now() >= made + timedelta(seconds=BOOT_S)
        status = ServerStatus.ACTIVE if runs else ServerStatus.BUILDING
        if "gone_at" in body:
            status = ServerStatus.DELETING
        return Server(body["id"], body["name"], status, tags=body["tags"], created_at=made, flavor=body["flavor"])


class FilePool:
    """Implements `PoolLink` over the servers of a `FileSite`."""

    def __init__(self, site: FileSite, clock: FileClock, points: Points) -> None:
        self._site = site
        self._clock = clock
        self._points = points

    def ensure(self) -> None:
        self._points.reached()

    def view(self) -> PoolView:
        self._points.reached()
        now = self._clock.now()
        workers = {
            name: WorkerSlots(name, 2, 0, draining=drained, drained=drained)
            for name, drained in self._site.joined().items()
        }
        return PoolView(now, now - timedelta(days=1), workers)

    def papers(
        self, worker: str, *, script: str = "", remote: bool = True, options: Mapping[str, object] | None = None
    ) -> JoinPapers:
        self._points.reached()
        return JoinPapers("#!/bin/sh\n", {})

    def admit(self, expected: Collection[str]) -> Sequence[str]:
        self._points.reached()
        return ()

    def revoke(self, workers: Collection[str]) -> None:
        self._points.reached()

    def drain(self, worker: str, *, deadline_s: float) -> None:
        self._points.reached()
        (self._site.folder / "drained").mkdir(exist_ok=True)
        (self._site.folder / "drained" / worker).touch()
        self._points.reached()

    def release(self, jobs: Collection[str]) -> Sequence[str]:
        self._points.reached()
        return ()

    def finished(self, since: datetime) -> Sequence[FinishedJob]:
        self._points.reached()
        return ()

    def stop(self) -> None:
        self._points.reached()
