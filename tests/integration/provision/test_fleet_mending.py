"""What goes wrong with workers of a real pool is found out, told and mended."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from dynamo.pool.install.installation import require_installation
from dynamo.pool.processes import with_environment
from dynamo.provision.keeping.opening import fleet_folder, site_folder
from dynamo.provision.sites.local.servers import MARK
from tests.integration.provision.fleet_run import FleetRun

pytestmark = pytest.mark.condor


def spec(group: dict[str, Any] | None = None, **site: Any) -> dict[str, Any]:
    return {
        "name": "mending",
        "sites": {"Local:here": site},
        "compute": [{"name": "w", "site": "Local:here", "count": 1, "max": 2, **(group or {})}],
        "policy": {"cycle_s": 2, "collector_grace_s": 5, "missing_s": 15},
    }


def test_a_worker_that_cannot_join_is_explained_and_a_corrected_spec_replaces_it(tmp_path: Path) -> None:
    run = FleetRun(tmp_path, spec({"postBootScript": "echo no disk; exit 3"}))
    try:
        run.until(lambda _report: bool(run.events("console")))
        told = run.events("console")[0]
        assert told.reason.endswith("the operator's script failed with exit code 3")
        # Now one that would wait for ever: no time limit has to pass before the corrected one.
        run.apply(spec({"postBootScript": "sleep 100000"}))
        run.until(lambda report: report.counts["w"].get("joining") == 1)
        waiting = run.workers()[-1].name
        # The folder that `dynamo pool install` prints.
        run.apply(spec(worker={"condor_prefix": str(require_installation().release)}))
        run.settled()
        assert {worker.name: worker.state for worker in run.workers()}[waiting] == "released"
        assert [worker.state for worker in run.workers()].count("ready") == 1
        run.end()
    finally:
        run.close()


def test_jobs_that_fail_on_every_worker_cost_no_worker(tmp_path: Path) -> None:
    """Each attempt counts, also of jobs that are tried again."""
    run = FleetRun(tmp_path, spec({"count": 2}))
    try:
        run.settled()
        run.submit(20, 2, executable="/bin/sh", arguments="\"-c 'sleep 2; false'\"", max_retries="1")
        report = run.until(lambda report: any(about.startswith("jobs ") for about in report.held))
        assert "check the jobs" in report.held["jobs /bin/sh"]
        assert run.events("draining") == []
        assert {worker.state for worker in run.workers()} == {"ready"}
    finally:
        run.close()


def test_a_job_of_a_lost_worker_starts_again_at_once(tmp_path: Path) -> None:
    """A plain job has a lease of 40 minutes, for which the queue would wait for the worker."""
    run = FleetRun(tmp_path, spec())
    try:
        run.settled()
        log = run.submit(1, 3600)
        run.until(lambda _report: starts(log) == 1)
        [worker] = run.workers()
        for process in with_environment(f"{MARK}={worker.server_id}"):
            process.send(signal.SIGKILL)
        site = site_folder(fleet_folder(tmp_path, "mending"), "Local:here")
        shutil.rmtree(site / "servers" / worker.name)
        run.until(lambda _report: starts(log) == 2)
        assert run.workers()[0].state == "lost"
        [told] = run.events("jobs-released")
        assert (told.worker, told.reason) == (worker.name, "1 jobs of it go back to the queue: 1.0")
    finally:
        run.close()


def starts(log: Path) -> int:
    return f"\n{log.read_text()}".count("\n001 (") if log.is_file() else 0
