"""The queue's jobs, as `condor_q` prints them, become work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dynamo.autoscale.demand.queue import (
    UNKNOWN_S,
    QueueJob,
    WallTime,
    add_up,
    learn_wall_times,
    read_jobs,
    wall_time,
)

NOON = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
START = int((NOON - timedelta(seconds=100)).timestamp())
KIND = ("ann", "/home/ann/fit")
HOME = "/home/ann"


def line(**values: object) -> str:
    fields: dict[str, object] = {
        "status": 1, "cpus": 1, "memory": 512, "disk": 2048, "priority": 0, "started": "undefined", "universe": 5,
        "run": "undefined", "expected": "undefined", "most": "undefined", "owner": "ann", "command": "/home/ann/fit",
        "folder": "/home/ann",
    }  # fmt: skip
    return "\t".join(str(value) for value in {**fields, **values}.values())


def test_lines_are_read() -> None:
    jobs = read_jobs(
        [
            line(cpus=2, memory=1024, priority=3),
            line(status=2, started=START, run="abc"),
            line(universe=7),
            "not a job",
            line(memory="undefined", disk="error", expected=10, most=20),
        ]
    )
    assert jobs == [
        QueueJob(KIND, 2, 1024, 2, 3, folder=HOME),
        QueueJob(KIND, 1, 512, 2, 0, started=NOON - timedelta(seconds=100), own=True, folder=HOME),
        QueueJob(KIND, 1, 0, 0, 0, expected_s=600.0, most_s=1200.0, folder=HOME),
    ]


def test_a_job_takes_what_it_says_else_what_others_of_its_kind_took() -> None:
    learned = learn_wall_times([f"{seconds}\tann\t/home/ann/fit" for seconds in range(10, 111, 10)] + ["bad"])
    assert learned[KIND] == WallTime(60.0, 100.0)
    assert wall_time(QueueJob(KIND), learned) == learned[KIND]
    assert wall_time(QueueJob(("bob", "x")), learned).median_s == UNKNOWN_S
    assert wall_time(QueueJob(KIND, expected_s=300.0), learned) == WallTime(300.0, 600.0)
    assert wall_time(QueueJob(KIND, most_s=30.0), learned) == WallTime(30.0, 30.0)


def test_from_few_finished_jobs_the_spread_is_not_believed() -> None:
    assert learn_wall_times(["50\tann\t/home/ann/fit"] * 3)[KIND] == WallTime(50.0, 100.0)


def test_jobs_that_are_alike_go_together() -> None:
    jobs = [QueueJob(KIND, 2, 1024, 5)] * 3 + [QueueJob(KIND, 1, 512)]
    work = add_up(jobs, {KIND: WallTime(50.0, 80.0)}, NOON)
    assert [(one.core_s, one.core_s_high, one.cores) for one in work] == [(300.0, 480.0, 6), (50.0, 80.0, 1)]
    assert (work[0].cores_each, work[0].memory_mb_each, work[0].disk_mb_each) == (2, 1024, 5)
    assert work[0].label == "3 idle of ann: fit"
    assert all(one.due_at is None and one.ready_at == NOON for one in work)


@pytest.mark.parametrize(("ran_s", "left_s"), [(10, 90.0), (100, 25.0), (1000, 25.0)])
def test_of_a_running_job_the_rest_counts(ran_s: int, left_s: float) -> None:
    job = QueueJob(KIND, started=NOON - timedelta(seconds=ran_s))
    (work,) = add_up([job], {KIND: WallTime(100.0, 150.0)}, NOON)
    assert work.core_s == left_s
    assert work.core_s_high >= left_s
