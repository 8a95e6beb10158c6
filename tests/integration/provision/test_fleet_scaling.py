"""A real pool that grows and shrinks under load: nobody's job is lost by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynamo.provision.fleets import scale
from dynamo.times import utc_now
from tests.integration.provision.fleet_run import EVICTED, FleetRun, ended_jobs

SPEC: dict[str, Any] = {
    "name": "scaling",
    "sites": {"Local:here": {"max_workers": 6}},
    "compute": [{"name": "w", "site": "Local:here", "count": 2, "max": 6}],
    "policy": {"cycle_s": 2, "collector_grace_s": 5},
}
JOBS = 200


def test_two_hundred_jobs_live_through_growth_and_shrinking(tmp_path: Path) -> None:
    run = FleetRun(tmp_path, SPEC)
    try:
        run.settled()
        log = run.submit(JOBS, 1)
        _scale(run, 6)
        run.until(lambda report: report.counts["w"].get("ready") == 6)
        assert ended_jobs(log) < JOBS
        _scale(run, 1)
        run.settled()
        assert [worker.state for worker in run.workers()].count("ready") == 1
        _scale(run, 4)
        run.until(lambda _report: ended_jobs(log) == JOBS)
        assert EVICTED not in log.read_text()
        assert sum(worker.jobs_killed for worker in run.workers()) == 0
        assert not [worker for worker in run.workers() if worker.state in ("lost", "failed")]
        run.end()
    finally:
        run.close()


def _scale(run: FleetRun, wanted: int) -> None:
    with run.store.transaction() as session:
        scale(session, run.name, "Local:here", wanted, utc_now())
