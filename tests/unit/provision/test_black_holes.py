"""Whether workers or jobs are to blame for jobs that fail fast: on plain data, and in the loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamo.provision.deciding.black_holes import FastFailures, Fate, blame
from tests.unit.provision.fleet_world import World, spec_of

HOLE, GOOD, SLOW = [(False, 1.0)] * 5, [(True, 60.0)] * 5, [(False, 60.0)] * 5


def fates(worker: str, *runs: tuple[bool, float], kind: str = "") -> list[Fate]:
    return [Fate(worker, ok, wall_s, kind) for ok, wall_s in runs]


def found(given: list[Fate], among: str = "abc") -> FastFailures:
    return blame(given, jobs=5, seconds=10.0, share=0.8, among=set(among))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (fates("a", *HOLE) + fates("b", *GOOD), ("a",)),
        (fates("a", *HOLE[:4]) + fates("b", *GOOD), ()),
        (fates("a", *HOLE[:4], (True, 1.0)) + fates("b", *GOOD), ("a",)),
        (fates("a", *HOLE[:3], *GOOD[:2]) + fates("b", *GOOD), ()),
        (fates("a", *HOLE, *GOOD) + fates("b", *GOOD), ()),
        (fates("a", *SLOW) + fates("b", *GOOD), ()),
        (fates("a", *HOLE) + fates("b", *HOLE) + fates("c", *GOOD), ()),
        (fates("gone", *HOLE) + fates("b", *GOOD), ()),
        (fates("a", *HOLE), ("a",)),
        (fates("a", *HOLE, kind="x") + fates("b", *HOLE[:1], kind="y"), ("a",)),
        (fates("a", *HOLE) + fates("b", *HOLE) + fates("c", *GOOD) + fates("d", *GOOD), ("a", "b")),
        (fates("b", *GOOD) + fates("a", *HOLE) + fates("b", *HOLE[:1]), ()),
        (fates("b", *GOOD) + fates("a", *HOLE), ("a",)),
    ],
    ids=[
        "hole",
        "too few",
        "share",
        "below the share",
        "well again",
        "slow",
        "the jobs themselves",
        "not there",
        "nobody to compare with",
        "others fail at something else",
        "two holes among four",
        "all fail since then",
        "others did well before",
    ],
)
def test_black_holes(given: list[Fate], expected: tuple[str, ...]) -> None:
    assert found(given).holes == expected


def test_jobs_that_fail_everywhere_are_named_with_the_workers_even_those_that_are_gone() -> None:
    given = fates("gone", *HOLE, kind="bad.sh") + fates("a", *HOLE, kind="bad.sh") + fates("b", *GOOD, kind="hail")
    assert found(given) == FastFailures((), {"bad.sh": ("a", "gone")})


ONE: dict[str, Any] = spec_of(
    {"Sim:A": {}}, [{"name": "a", "site": "Sim:A", "count": 4, "max": 8}], policy={"cycle_s": 5}
)


def ready(world: World) -> list[str]:
    return [worker.name for worker in world.workers() if worker.state == "ready"]


def test_jobs_that_fail_on_every_worker_cost_no_worker(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    before = ready(world)
    for _ in range(70):
        world.pool.submit(1, 3.0, ok=False, workflow="bad.sh")
    report = world.run(200)
    assert ready(world) == before
    assert world.events("draining") == []
    assert "check the jobs" in report.held["jobs bad.sh"]
    assert world.loop.health.of("Sim:A").failures == 0


@pytest.mark.slow
def test_a_lone_worker_is_replaced_once_and_then_the_jobs_are_blamed(tmp_path: Path) -> None:
    spec = {**ONE, "compute": [{"name": "a", "site": "Sim:A", "count": 1, "max": 1}]}
    world = World(tmp_path, spec)
    world.run(90)
    for _ in range(600):
        world.pool.submit(1, 3.0, ok=False, workflow="bad.sh")
    report = world.run(1200)
    assert len(world.events("draining")) == 1
    assert "check the jobs" in report.held["jobs bad.sh"]


@pytest.mark.slow
def test_no_more_than_a_share_is_replaced_within_half_an_hour_even_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path, {**ONE, "compute": [{"name": "a", "site": "Sim:A", "count": 8, "max": 8}]})
    world.run(90)
    holes = ready(world)[:3]
    for name in holes:
        world.pool.make_black_hole(name)
    for _ in range(900):
        world.pool.submit(1, 20.0, workflow="hail")
    world.run(60)
    world.loop = world.new_loop()
    report = world.run(240)
    assert len(world.events("draining")) == 2
    [left] = set(holes) & set(ready(world))
    assert left in report.held["black holes"]
