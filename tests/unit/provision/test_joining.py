"""Workers that do not join: why is told, and a corrected spec makes them anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dynamo.provision.deciding.console import last_word, tail
from tests.unit.provision.fleet_world import World, spec_of

CONSOLE = """[    1.2] cloud-init: 2026-01-01T00:00:00Z dynamo-worker a-1: booting
\x1b[1;31mE: Unable to locate package condor\x1b[0m\r
[   60.1] cloud-init: 2026-01-01T00:01:00Z dynamo-worker a-1: shutting down: HTCondor is missing
[   61.0] reboot: Power down

"""


def test_last_word_is_that_of_the_boot_script() -> None:
    assert last_word(CONSOLE) == "shutting down: HTCondor is missing"
    assert last_word("kernel panic\n\n") == "kernel panic"
    assert last_word("") == ""


def test_tail_is_short_and_plain() -> None:
    shown = tail("noise\n" * 5000 + CONSOLE)
    assert len(shown.splitlines()) == 20
    assert "E: Unable to locate package condor" in shown.splitlines()
    assert shown.endswith("reboot: Power down")
    assert all(letter.isprintable() for letter in shown.replace("\n", ""))


def spec(group: dict[str, Any] | None = None, join_s: float = 10_000, **more: Any) -> dict[str, Any]:
    return spec_of(
        {"Sim:A": {"options": {"join": join_s}}},
        [{"name": "a", "site": "Sim:A", "count": 2, "max": 9, **(group or {})}],
        policy={"cycle_s": 5, "breaker": {"failures": 1, "base_s": 1800}},
        **more,
    )


def test_worker_that_does_not_join_is_explained(tmp_path: Path) -> None:
    world = World(tmp_path, spec())
    report = world.run(450)
    told = world.events("console")
    assert {event.worker for event in told} == {worker.name for worker in world.workers() if worker.ended_at}
    assert told[0].reason == "its console's last word: starting HTCondor"
    assert told[0].data["console"] == f"dynamo-worker {told[0].worker}: starting HTCondor"
    # Whoever looks at the status sees it without looking for events.
    assert "starting HTCondor" in report.held["a"]


def test_worker_that_had_joined_is_not_explained(tmp_path: Path) -> None:
    world = World(tmp_path, spec(join_s=15))
    world.run(120)
    world.pool.leave(world.workers()[0].name)
    world.run(200)
    assert world.states()["released"] == 1
    assert world.events("console") == []


@pytest.mark.parametrize(
    ("group", "remade"),
    [({"postBootScript": "echo mended"}, True), ({"count": 3}, False), ({"costPerHour": 2}, False)],
    ids=["script", "count", "cost"],
)
def test_corrected_spec_makes_anew_what_has_not_joined(tmp_path: Path, group: dict[str, Any], remade: bool) -> None:
    world = World(tmp_path, spec())
    world.run(100)
    old = {worker.name for worker in world.workers()}
    assert world.states() == {"joining": 2}
    world.apply(spec(group))
    world.loop = world.new_loop()
    world.run(60)
    living = {worker.name for worker in world.workers() if worker.ended_at is None}
    assert len(living) == group.get("count", 2)
    assert (not living & old) is remade


def test_corrected_spec_ends_the_pause_and_keeps_who_has_joined(tmp_path: Path) -> None:
    world = World(tmp_path, spec(join_s=15))
    world.run(120)
    joined = {worker.name for worker in world.workers() if worker.state == "ready"}
    assert len(joined) == 2
    world.loop.health.failure("Sim:A", "permanent", "image not found")
    world.loop.cycle()
    assert world.loop.health.of("Sim:A").retry_at is not None
    world.apply(spec({"postBootScript": "echo mended", "count": 3}, join_s=15))
    world.loop = world.new_loop()
    world.run(120)
    ready = {worker.name for worker in world.workers() if worker.state == "ready"}
    assert joined < ready
    assert len(ready) == 3
