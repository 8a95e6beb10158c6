"""A whole fleet for a test: store, spec, loop, a real HTCondor pool, and jobs in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.pool.install.installation import require_installation
from dynamo.pool.record import read_record
from dynamo.provision.cycle.reconcile import CycleReport
from dynamo.provision.fleets import apply_fleet, set_fleet_state
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.keeping.opening import fleet_folder
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import open_store
from dynamo.store.fleets import FleetEvent, Worker
from dynamo.times import utc_now

#: Job users must be able to enter the folder that HTCondor lies in; a server's own view of it is changed, not ours.
OPEN_PREFIX = """#!/bin/sh
folder={prefix}
while [ "$folder" != / ]; do chmod o+x "$folder"; folder=$(dirname "$folder"); done
"""
EVICTED = "\n004 ("


class FleetRun:
    """One fleet from apply to its end."""

    def __init__(self, folder: Path, spec: Mapping[str, Any]) -> None:
        self.folder = folder
        self.store = open_store(folder / "store.sqlite")
        self.name = str(spec["name"])
        self.apply(spec)
        self.loop = FleetLoop(self.store, self.name)

    def apply(self, spec: Mapping[str, Any]) -> None:
        loaded = load_spec(dict(spec))
        with self.store.transaction() as session:
            apply_fleet(session, loaded, base=fleet_folder(self.folder, self.name), now=utc_now())

    def until(self, done: Callable[[CycleReport], bool], timeout_s: float = 240.0) -> CycleReport:
        report = self.loop.run_until(done, timeout_s=timeout_s)
        assert done(report) or report.ended, f"not in time: {report}"
        return report

    def settled(self, timeout_s: float = 240.0) -> CycleReport:
        return self.until(lambda report: report.settled, timeout_s)

    def workers(self) -> list[Worker]:
        with self.store.reading() as session:
            return list(session.scalars(select(Worker).order_by(Worker.id)))

    def events(self, action: str) -> list[FleetEvent]:
        with self.store.reading() as session:
            return list(session.scalars(select(FleetEvent).where(FleetEvent.action == action).order_by(FleetEvent.id)))

    def submit(self, count: int, seconds: float, **settings: str) -> Path:
        """Submit jobs of the pool's own kind, which sleep unless told otherwise; return their log."""
        record = read_record(fleet_folder(self.folder, self.name) / "pool")
        assert record is not None
        log = self.folder / "jobs.log"
        job = {
            "executable": "/bin/sleep",
            "arguments": str(seconds),
            "transfer_executable": "False",
            "should_transfer_files": "YES",
            "request_cpus": "1",
            "request_memory": "64MB",
            "log": str(log),
            **settings,
        }
        description = "".join(f"{key} = {value}\n" for key, value in job.items()) + f"queue {count}\n"
        environment = {**os.environ, "CONDOR_CONFIG": record.config}
        subprocess.run([f"{record.bin}/condor_submit"], input=description, text=True, env=environment, check=True)
        return log

    def end(self, state: str = "ending") -> None:
        with self.store.transaction() as session:
            set_fleet_state(session, self.name, state, utc_now())
        self.until(lambda report: report.ended, 120.0)

    def close(self) -> None:
        """End the fleet whatever happened."""
        try:
            self.end("ending-now")
        finally:
            self.loop.close()
            self.store.close()


def condor_prefix() -> str:
    """Return where this machine's HTCondor is; servers of the sandbox see its files."""
    found = require_installation()
    return str(found.release.parent) if found.origin == "prefix" else ""


def worker_part() -> dict[str, Any]:
    """Return what a spec says of workers in the sandbox."""
    prefix = condor_prefix()
    return {"condor_prefix": prefix} if prefix else {}


def boot_script() -> str:
    prefix = condor_prefix()
    return OPEN_PREFIX.format(prefix=prefix) if prefix else ""


def ended_jobs(log: Path) -> int:
    return log.read_text().count("\n005 (") + log.read_text().startswith("005 (") if log.is_file() else 0
