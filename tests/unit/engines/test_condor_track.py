"""The state of a run from the events of its jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dynamo.engines.condor.holds import PASSING_HOLDS, WAITING_HOLDS, explain, judge
from dynamo.engines.condor.track import (
    ABORTED,
    DISCONNECTED,
    EVICTED,
    EXECUTE,
    HELD,
    RECONNECT_FAILED,
    RECONNECTED,
    RELEASED,
    SHADOW_EXCEPTION,
    SUBMIT,
    TERMINATED,
    JobEvent,
    RunTrack,
    event_from,
)

TIME = datetime(2026, 5, 1, tzinfo=UTC)
#: An event: kind, cluster, values.
Told = tuple[int, int, dict[str, Any]]
GOOD: dict[str, Any] = {"TerminatedNormally": True, "ReturnValue": 0}
BAD: dict[str, Any] = {"TerminatedNormally": True, "ReturnValue": 1}
NODE_A: dict[str, Any] = {"LogNotes": "DAG Node: A"}
NODE_B: dict[str, Any] = {"LogNotes": "DAG Node: B"}


def track(*told: Told) -> RunTrack:
    run = RunTrack()
    for kind, cluster, data in told:
        run.note(JobEvent(kind, cluster, 0, TIME, data))
    return run


@pytest.mark.parametrize(
    ("told", "state", "reason"),
    [
        ([], "pending", ""),
        ([(SUBMIT, 1, {})], "pending", ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {})], "running", ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (TERMINATED, 1, GOOD)], "succeeded", ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (TERMINATED, 1, BAD)], "failed", "exit code 1"),
        (
            [(SUBMIT, 1, {}), (TERMINATED, 1, {"TerminatedNormally": False, "TerminatedBySignal": 9})],
            "failed",
            "signal 9",
        ),
        (
            [(SUBMIT, 1, {}), (EXECUTE, 1, {}), (EVICTED, 1, {"TerminatedAndRequeued": True, **BAD})],
            "pending",
            "failed (exit code 1), being restarted",
        ),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (EVICTED, 1, {"Reason": "drained"})], "pending", "drained"),
        ([(SUBMIT, 1, {}), (HELD, 1, {"HoldReasonCode": 1, "HoldReason": "wait"})], "held", "wait"),
        ([(SUBMIT, 1, {}), (HELD, 1, {"HoldReasonCode": 1}), (RELEASED, 1, {})], "pending", "held with code 1"),
        (
            [(SUBMIT, 1, {}), (EXECUTE, 1, {}), (ABORTED, 1, {"Reason": "gone\n (by user x)"})],
            "cancelled",
            "gone (by user x)",
        ),
        (
            [(SUBMIT, 1, {}), (HELD, 1, {"HoldReasonCode": 34, "HoldReason": "memory 900 MB"}), (ABORTED, 1, {})],
            "failed",
            "used more than it requested: memory 900 MB",
        ),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (SHADOW_EXCEPTION, 1, {"Message": "no disk"})], "pending", "no disk"),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (DISCONNECTED, 1, {"DisconnectReason": "cut"})], "running", ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (DISCONNECTED, 1, {}), (RECONNECTED, 1, {})], "running", ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (RECONNECT_FAILED, 1, {"Reason": "lost it"})], "pending", "lost it"),
        # DAGMan runs; what counts is what its nodes do.
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (SUBMIT, 2, NODE_A)], "pending", ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (SUBMIT, 2, NODE_A), (EXECUTE, 2, {})], "running", ""),
        (
            [
                (SUBMIT, 1, {}),
                (EXECUTE, 1, {}),
                (SUBMIT, 2, NODE_A),
                (HELD, 2, {"HoldReasonCode": 1, "HoldReason": "by hand"}),
            ],
            "held",
            "task A: by hand",
        ),
        (
            [
                (SUBMIT, 1, {}),
                (EXECUTE, 1, {}),
                (SUBMIT, 2, NODE_A),
                (SUBMIT, 3, NODE_B),
                (HELD, 2, {"HoldReasonCode": 1}),
                (EXECUTE, 3, {}),
            ],
            "running",
            "",
        ),
    ],
)
def test_state(told: list[Told], state: str, reason: str) -> None:
    assert track(*told).state() == (state, reason)


def test_events_of_jobs_that_are_not_of_the_run_are_passed_over() -> None:
    assert track((TERMINATED, 9, BAD), (SUBMIT, 1, {}), (TERMINATED, 9, BAD)).state() == ("pending", "")


def test_the_node_that_failed_is_named_and_not_those_removed_with_it() -> None:
    run = track(
        (SUBMIT, 1, {}),
        (SUBMIT, 2, NODE_A),
        (SUBMIT, 3, NODE_B),
        (TERMINATED, 2, BAD),
        (ABORTED, 3, {"Reason": "DAG Abort"}),
        (TERMINATED, 1, BAD),
    )
    assert run.failure() == ("A", "exit code 1")
    assert [job.id for job in run.jobs.values()] == ["1.0", "2.0", "3.0"]


def test_time_of_an_event_is_aware() -> None:
    event = event_from(7, 0, {"EventTypeNumber": 5, "EventTime": "2026-05-01T10:00:00"})
    assert (event.kind, event.cluster, event.time.tzinfo) == (5, 7, UTC)


@pytest.mark.parametrize(
    ("code", "holds", "verdict"),
    [(1, 1, "wait"), (1, 9, "wait"), (12, 1, "release"), (12, 3, "give up"), (34, 1, "give up"), (47, 1, "give up")],
)
def test_verdict_on_a_hold(code: int, holds: int, verdict: str) -> None:
    assert judge(code, holds, max_holds=3) == verdict


def test_holds_are_explained() -> None:
    assert explain(47, "more than 60 seconds") == "exceeded its time limit: more than 60 seconds"
    assert explain(99, " two\nlines ") == "two lines"
    assert not PASSING_HOLDS & WAITING_HOLDS
