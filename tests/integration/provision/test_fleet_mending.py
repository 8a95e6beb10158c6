"""What goes wrong with workers of a real pool is found out, told and mended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamo.pool.install.installation import require_installation
from tests.integration.provision.fleet_run import FleetRun

pytestmark = pytest.mark.condor


def spec(group: dict[str, Any] | None = None, **site: Any) -> dict[str, Any]:
    return {
        "name": "mending",
        "sites": {"Local:here": site},
        "compute": [{"name": "w", "site": "Local:here", "count": 1, "max": 2, **(group or {})}],
        "policy": {"cycle_s": 2, "collector_grace_s": 5},
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
