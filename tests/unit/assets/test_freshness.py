"""Whether data come as they should: states from facts and a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dynamo.assets.freshness import (
    DEFAULT_CADENCE_S,
    FeedFacts,
    Freshness,
    Habit,
    JobFacts,
    Limits,
    LineFacts,
    RunFacts,
    State,
    judge_feed,
    judge_job,
    judge_line,
    learn,
)

NOW = datetime(2026, 11, 28, 3, 0, tzinfo=UTC)
LIMITS = Limits(3.0, 12.0)
FIVE = Habit(300.0, 60.0)
FRESH_FEED = Freshness(State.FRESH, "new", None, 60.0, 960.0)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def every(seconds: float, count: int, *, delay_s: float = 30.0, end: datetime = NOW) -> list[tuple[datetime, datetime]]:
    times = [end - timedelta(seconds=seconds * index) for index in range(count)]
    return [(at, at + timedelta(seconds=delay_s)) for at in times]


def feed(seconds: float | None, **more: Any) -> FeedFacts:
    return replace(FeedFacts(None if seconds is None else ago(seconds), ago(100_000)), **more)


LATE_S, SILENT_S = 960.0, 3660.0


@pytest.mark.parametrize(
    ("facts", "habit", "state", "reason"),
    [
        (feed(0), FIVE, State.FRESH, "newest valid time"),
        (feed(-240), FIVE, State.FRESH, "0 s ago"),
        (feed(LATE_S), FIVE, State.FRESH, "16 min ago"),
        (feed(LATE_S + 1), FIVE, State.LATE, "late after 16 min"),
        (feed(SILENT_S), FIVE, State.LATE, "late after"),
        (feed(SILENT_S + 1), FIVE, State.SILENT, "late after"),
        (feed(1e8), FIVE, State.SILENT, "days ago"),
        # Nothing ever came.
        (feed(None, must_come=True), Habit(300.0), State.SILENT, "nothing has ever come"),
        (feed(None, must_come=True), Habit(), State.SILENT, "nothing has ever come"),
        (feed(None), Habit(), State.NOT_EXPECTED, "nothing says that it must"),
        # A cadence that is not known counts as one only for what must come.
        (feed(1799), Habit(), State.FRESH, "newest"),
        (feed(1801), Habit(), State.NOT_EXPECTED, "its cadence is unknown yet"),
        (feed(1801, must_come=True), Habit(), State.LATE, "late after 30 min"),
        # Planned, or explained.
        (feed(LATE_S + 1, maintenance="new disks"), FIVE, State.NOT_EXPECTED, "new disks"),
        (feed(None, must_come=True, maintenance="new disks"), FIVE, State.NOT_EXPECTED, "new disks"),
        (feed(60, maintenance="new disks"), FIVE, State.FRESH, "newest"),
        (feed(LATE_S + 1, made_by="hail"), FIVE, State.NOT_EXPECTED, "made by hail"),
        (feed(LATE_S + 1, made_by="hail", must_come=True), FIVE, State.LATE, "late after"),
        (feed(1e8), replace(FIVE, is_old=True), State.NOT_EXPECTED, "only old data"),
        (feed(1e8, must_come=True), replace(FIVE, is_old=True), State.SILENT, "late after"),
        # Clear-air mode: slower, and not late.
        (feed(1500), Habit(600.0, 60.0), State.FRESH, "25 min ago"),
    ],
)
def test_feeds(facts: FeedFacts, habit: Habit, state: State, reason: str) -> None:
    found = judge_feed(facts, habit, LIMITS, NOW)
    assert found.state is state
    assert reason in found.reason
    assert found.is_problem(NOW) == (state in (State.LATE, State.SILENT))


def test_what_never_came_is_a_problem_only_once_it_would_be_late() -> None:
    facts = FeedFacts(None, ago(100), must_come=True)
    found = judge_feed(facts, Habit(300.0), LIMITS, NOW)
    assert found.state is State.SILENT
    assert found.due_at == ago(100) + timedelta(seconds=900)
    assert not found.is_problem(NOW)
    assert found.is_problem(ago(100) + timedelta(seconds=900))


@pytest.mark.parametrize(
    ("arrivals", "cadence_s"),
    [
        (every(300, 64), 300.0),
        (every(300, 4), 300.0),
        (every(300, 3), None),
        ([], None),
        # A radar in clear-air mode since three files ago, and one that has left it.
        (every(600, 4) + every(280, 60, end=NOW - timedelta(seconds=1800)), 600.0),
        # One outage is not a habit.
        (every(300, 12) + every(300, 12, end=NOW - timedelta(hours=9)), 300.0),
        # Sweeps of a volume come in a burst, volumes every 5 minutes.
        ([pair for n in range(5) for pair in every(15, 12, end=NOW - timedelta(seconds=300 * n))], 135.0),
        # Two files of one valid time are one.
        (every(60, 20) + every(60, 20), 60.0),
    ],
)
def test_the_cadence_is_the_longest_pause_that_occurs_again_and_again(
    arrivals: list[tuple[datetime, datetime]], cadence_s: float | None
) -> None:
    assert learn(arrivals).cadence_s == cadence_s
    assert learn(list(reversed(arrivals))).cadence_s == cadence_s
    assert learn(arrivals, 77.0).cadence_s == 77.0


def test_the_delay_is_the_usual_one_and_never_that_of_a_backlog() -> None:
    assert learn(every(60, 20, delay_s=45)).delay_s == 45
    assert learn(every(60, 20, delay_s=-45)).delay_s == 0
    assert learn(every(60, 20, delay_s=7200)).delay_s == 3600


def test_data_are_old_only_if_all_were_on_arrival() -> None:
    archive = every(300, 20, delay_s=1e8)
    assert learn(archive).is_old
    assert not learn([*archive, *every(300, 1)]).is_old
    assert not learn(every(300, 20, delay_s=3600)).is_old


def run(state: str, seconds: float, reason: str = "") -> RunFacts:
    return RunFacts(state, ago(seconds), reason)


LATE_FEED = replace(FRESH_FEED, state=State.LATE)
MISSING = replace(FRESH_FEED, state=State.SILENT)


@pytest.mark.parametrize(
    ("live_s", "runs", "feed_state", "state", "reason"),
    [
        (60, [], FRESH_FEED, State.FRESH, "newest"),
        # Its feed is fresh, but the trigger's condition was not met.
        (LATE_S + 1, [], FRESH_FEED, State.NOT_EXPECTED, "no run was due since"),
        (None, [], FRESH_FEED, State.NOT_EXPECTED, "no run was due yet"),
        (LATE_S + 1, [run("skipped", 5), run("cancelled", 5000)], FRESH_FEED, State.NOT_EXPECTED, "no run was due"),
        # One cause, one problem.
        (LATE_S + 1, [], LATE_FEED, State.NOT_EXPECTED, "its feed feed:f/KFWS is late"),
        (1e6, [], MISSING, State.NOT_EXPECTED, "is silent"),
        # A run was due.
        (5000, [run("running", 30)], FRESH_FEED, State.FRESH, "a run began 30 s ago"),
        (5000, [run("created", 5), run("running", LATE_S + 1)], FRESH_FEED, State.LATE, "is not done"),
        (5000, [run("held", SILENT_S + 1)], FRESH_FEED, State.SILENT, "is not done"),
        (5000, [run("held", SILENT_S + 1)], MISSING, State.SILENT, "is not done"),
        (60, [run("failed", 5, "no space")], FRESH_FEED, State.FRESH, "newest"),
        (
            400,
            [run("failed", 5, "no space"), run("failed", 300, "x")],
            FRESH_FEED,
            State.LATE,
            "2 runs failed: no space",
        ),
        (None, [run("failed", 5, "x"), run("failed", SILENT_S + 1, "x")], FRESH_FEED, State.SILENT, "2 runs failed: x"),
        (5000, [run("failed", LATE_S + 1)], FRESH_FEED, State.LATE, "failed; late after"),
        (60, [run("running", 5), run("failed", 300), run("failed", 600)], FRESH_FEED, State.FRESH, "newest"),
    ],
)
def test_products_of_workflows(
    live_s: float | None, runs: list[RunFacts], feed_state: Freshness, state: State, reason: str
) -> None:
    facts = LineFacts(None if live_s is None else ago(live_s), feed_state, "feed:f/KFWS", runs)
    found = judge_line(facts, FIVE, LIMITS, NOW)
    assert found.state is state
    assert reason in found.reason
    assert found.is_problem(NOW) == (state in (State.LATE, State.SILENT))


def test_products_are_not_missed_in_maintenance() -> None:
    facts = LineFacts(ago(5000), FRESH_FEED, "feed:f", [run("held", 5000)], maintenance="new disks")
    assert judge_line(facts, FIVE, LIMITS, NOW).state is State.NOT_EXPECTED


@pytest.mark.parametrize(
    ("started", "succeeded", "failed", "state", "reason"),
    [
        (None, None, None, State.NOT_EXPECTED, "not due yet"),
        (None, 100, None, State.FRESH, "it succeeded 100 s ago"),
        (None, 3900, None, State.SILENT, "its last success was 65 min ago"),
        (None, 3899, None, State.FRESH, "succeeded"),
        (None, 200, 100, State.FAILED, "reported a failure"),
        (None, None, 10, State.FAILED, "reported a failure"),
        (299, 1000, None, State.FRESH, "succeeded"),
        (300, 1000, None, State.LATE, "has not ended"),
        # It began again after it had failed.
        (10, 5000, 100, State.FAILED, "reported a failure"),
    ],
)
def test_jobs(started: float | None, succeeded: float | None, failed: float | None, state: State, reason: str) -> None:
    times = [None if seconds is None else ago(seconds) for seconds in (started, succeeded, failed)]
    facts = JobFacts(ago(1000), times[0], times[1], times[2], message="")
    found = judge_job(facts, 3600.0, 300.0, NOW)
    assert found.state is state
    assert reason in found.reason
    assert found.is_problem(NOW) == (state in (State.LATE, State.SILENT, State.FAILED))


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (JobFacts(ago(9000)), State.NOT_EXPECTED),
        (JobFacts(ago(9000), succeeded_at=ago(5000)), State.NOT_EXPECTED),
        (JobFacts(ago(9000), succeeded_at=ago(100)), State.FRESH),
        (JobFacts(ago(9000), started_at=ago(400), succeeded_at=ago(500)), State.FRESH),
        # What has failed did not fail to run.
        (JobFacts(ago(9000), succeeded_at=ago(100), failed_at=ago(50)), State.FAILED),
    ],
)
def test_jobs_are_not_missed_in_maintenance(facts: JobFacts, state: State) -> None:
    found = judge_job(replace(facts, maintenance="new disks"), 3600.0, 300.0, NOW)
    assert found.state is state
    assert found.is_problem(NOW) == (state is State.FAILED)


def test_a_job_that_never_reported_is_silent_after_its_period() -> None:
    assert judge_job(JobFacts(ago(3900)), 3600.0, 300.0, NOW).state is State.SILENT
    assert judge_job(JobFacts(ago(3899)), 3600.0, 300.0, NOW).state is State.NOT_EXPECTED


def test_the_default_cadence_is_for_what_must_come() -> None:
    assert Habit().after_s(3) == 3 * DEFAULT_CADENCE_S
