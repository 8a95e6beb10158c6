"""A provisioner killed at every point of a server's life at a real OpenStack leaves none alone and makes none twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.openstack.sandbox import Sandbox
from tests.openstack_live.kill_support import FleetHere, Points, in_a_process


@pytest.fixture
def fleets(sandbox: Sandbox) -> Iterator[list[FleetHere]]:
    made: list[FleetHere] = []
    yield made
    for fleet in made:
        fleet.clean()


@pytest.mark.timeout(900)
def test_killed_at_every_point_of_a_servers_life(sandbox: Sandbox, fleets: list[FleetHere], tmp_path: Path) -> None:
    begins = ends = True
    for point in range(1, 200):
        fleet = FleetHere(sandbox, tmp_path / str(point))
        fleets.append(fleet)
        if begins:
            begins = killed(fleet, point, wanted=1)
        else:
            assert in_a_process(partial(fleet.run, 1))
        fleet.check(1)
        assert len(fleet.workers()) == 1, told(fleet)
        if ends:
            fleet.end()
            ends = killed(fleet, point, wanted=0)
            fleet.check(0)
            assert len(fleet.workers()) == 1, told(fleet)
        else:
            fleet.clean()
        if not begins and not ends:
            break
    assert point > 15


def killed(fleet: FleetHere, point: int, *, wanted: int) -> bool:
    """Look after the fleet until the point kills, and then on; tell whether it did kill."""

    def until_killed() -> None:
        Points(point, fleet.folder / "killed").watch()
        fleet.run(wanted)

    if in_a_process(until_killed):
        return False
    assert in_a_process(lambda: fleet.run(wanted)), told(fleet)
    return True


def told(fleet: FleetHere) -> str:
    return (fleet.folder / "killed").read_text()
