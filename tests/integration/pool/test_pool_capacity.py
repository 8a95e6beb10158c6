"""The processors of a real pool, in the physical plan of a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dynamo.inspection.facts import InputFacts
from dynamo.pool.capacity import PoolCapacity
from dynamo.pool.record import STATE_VARIABLE, PoolRecord
from dynamo.runs.workflow_planner import LAYOUTS, DocumentPlanner
from tests.waiting import wait_for

pytestmark = pytest.mark.condor


def reason(planner: DocumentPlanner) -> str:
    facts = InputFacts("casa-nowcast", datetime(2026, 5, 20, tzinfo=UTC), tuple(range(31)), (201, 201))
    workflow = planner.load("nowcast")
    _, layout = planner.plan(
        workflow,
        {"nowcast": Path("/data/in.nc")},
        planner.parameters(workflow, {}),
        {"nowcast": facts},
        engine="condor",
        coefficients={},
    )
    return layout.reason


def test_a_plan_for_the_pool_counts_its_processors(condor_pool: PoolRecord) -> None:
    # A busy collector may miss the time limit of a question.
    wait_for(lambda: PoolCapacity().cpus() == 2, what="the pool's processors")
    greedy = replace(LAYOUTS["condor"], job_overhead_s=0.0, single_threshold_s=0.0)
    assert "one task per job" in reason(DocumentPlanner({"condor": greedy}))
    cheap = replace(greedy, job_overhead_s=0.04)
    assert "on 2 slots" in reason(DocumentPlanner({"condor": cheap}))
    assert "on 5 slots" in reason(DocumentPlanner({"condor": replace(cheap, slots=5)}))


def test_a_pool_that_is_away_is_no_reason_to_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "none"))
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))
    assert PoolCapacity().cpus() is None
    cheap = replace(LAYOUTS["condor"], job_overhead_s=0.04, single_threshold_s=0.0)
    assert "on 2 slots" in reason(DocumentPlanner({"condor": cheap}))
