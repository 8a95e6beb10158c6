"""The state of a run from the events of its jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dynamo.engines.condor.holds import PASSING_HOLDS, WAITING_HOLDS, explain, judge
from dynamo.engines.condor.track import (
    ABORTED,
    DISCONNECTED,
    EVICTED,
    EXECUTE,
    HELD,
    MAX_BAD_STARTS,
    RECONNECT_FAILED,
    RECONNECTED,
    RELEASED,
    REMOTE_ERROR,
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
NO_ROOM: dict[str, Any] = {"ErrorMsg": "no room"}
BY_POLICY: dict[str, Any] = {"Reason": "The job attribute PeriodicRemove expression evaluated to TRUE"}
NODE_A: dict[str, Any] = {"LogNotes": "DAG Node: A"}
NODE_B: dict[str, Any] = {"LogNotes": "DAG Node: B"}


def track(*told: Told) -> RunTrack:
    run = RunTrack()
    for kind, cluster, data in told:
        run.note(JobEvent(kind, cluster, 0, TIME, data))
    return run


def bad_start(cluster: int) -> list[Told]:
    """Return what HTCondor logs of a failed start: the starter's error, and the shadow's about it."""
    return [
        (EXECUTE, cluster, {}),
        (REMOTE_ERROR, cluster, NO_ROOM),
        (SHADOW_EXCEPTION, cluster, {"Message": "no room"}),
    ]


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
            "task A is held: by hand",
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
            "task A is held: held with code 1",
        ),
        # A start that fails is told at once, and how often when it is not the first.
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {}), (REMOTE_ERROR, 1, NO_ROOM)], "pending", "no room"),
        ([(SUBMIT, 1, {}), *bad_start(1) * 2], "pending", "2 starts in a row failed, the last: no room"),
        (
            [(SUBMIT, 1, {}), *bad_start(1) * 2, (EXECUTE, 1, {})],
            "running",
            "2 starts in a row failed, the last: no room",
        ),
        (
            [
                (SUBMIT, 1, {}),
                (EXECUTE, 1, {}),
                (SUBMIT, 2, NODE_A),
                *bad_start(2) * 3,
            ],
            "pending",
            "task A: 3 starts in a row failed, the last: no room",
        ),
        # A start that ended well ends the row.
        (
            [
                (SUBMIT, 1, {}),
                *bad_start(1) * 2,
                (EXECUTE, 1, {}),
                (EVICTED, 1, {"TerminatedAndRequeued": True, **BAD}),
                *bad_start(1),
            ],
            "pending",
            "no room",
        ),
        # The queue removed it after too many starts: the run failed, nobody cancelled it.
        (
            [
                (SUBMIT, 1, {}),
                (ABORTED, 1, BY_POLICY),
            ],
            "failed",
            "started 50 times without coming to an end",
        ),
    ],
)
def test_state(told: list[Told], state: str, reason: str) -> None:
    assert track(*told).state() == (state, reason)


def test_a_job_given_up_for_its_starts_failed_with_the_last_reason() -> None:
    run = track((SUBMIT, 1, {}), *bad_start(1) * MAX_BAD_STARTS, (ABORTED, 1, {"Reason": "whatever"}))
    assert run.state() == ("failed", f"{MAX_BAD_STARTS} starts in a row failed, the last: no room")


def test_a_worker_lost_after_a_while_does_not_count_as_a_bad_start() -> None:
    run = track((SUBMIT, 1, {}))
    for minutes in range(0, 4 * MAX_BAD_STARTS, 4):
        run.note(JobEvent(EXECUTE, 1, 0, TIME + timedelta(minutes=minutes)))
        run.note(JobEvent(DISCONNECTED, 1, 0, TIME + timedelta(minutes=minutes + 2), {"DisconnectReason": "cut"}))
        run.note(JobEvent(RECONNECT_FAILED, 1, 0, TIME + timedelta(minutes=minutes + 3), {"Reason": "lost it"}))
    assert run.jobs[1, 0].bad_starts == 1
    assert run.state() == ("pending", "lost it")


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


@pytest.mark.parametrize(
    ("before", "event", "node"),
    [
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {})], (EVICTED, 1, {}), ""),
        ([(SUBMIT, 1, {}), (EXECUTE, 1, {})], (TERMINATED, 1, BAD), None),
        ([(SUBMIT, 1, {}), (SUBMIT, 2, NODE_A), (EXECUTE, 2, {})], (EVICTED, 2, {}), "A"),
        # DAGMan itself has no output of a task; nor has a job of which nothing is known.
        ([(SUBMIT, 1, {}), (SUBMIT, 2, NODE_A)], (EVICTED, 1, {}), None),
        ([], (EVICTED, 1, {}), None),
        # DAGMan tries a node again as a new job.
        ([(SUBMIT, 1, {}), (SUBMIT, 2, NODE_A), (TERMINATED, 2, BAD)], (SUBMIT, 3, NODE_A), "A"),
        ([(SUBMIT, 1, {}), (SUBMIT, 2, NODE_A)], (SUBMIT, 3, NODE_B), None),
    ],
)
def test_output_is_told_to_be_overwritten_before_it_is(before: list[Told], event: Told, node: str | None) -> None:
    kind, cluster, data = event
    assert track(*before).starts_over(JobEvent(kind, cluster, 0, TIME, data)) == node
