"""How fleets end whose sites left something behind or cannot be asked any more, and what no repetition helps."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dynamo.provision.deciding.hopeless import all_hopeless
from dynamo.provision.keeping.opening import open_sites
from dynamo.provision.ledger import fleet_named
from dynamo.provision.sites.errors import SiteAuthError, SiteError, SitePermanentError, SiteQuotaError
from dynamo.provision.sites.runner import SiteRunner
from dynamo.provision.spec.loading import load_spec
from tests.unit.provision.fleet_world import World, spec_of

#: Hours of fleets, cycle by cycle.
pytestmark = pytest.mark.slow

TWO = spec_of(
    {"Sim:A": {}, "Sim:B": {}},
    [{"name": "a", "site": "Sim:A", "count": 2, "max": 2}, {"name": "b", "site": "Sim:B", "count": 1, "max": 1}],
)


def run_to_the_end(world: World, seconds: float) -> bool:
    """Go through cycles until the fleet has ended, as its process does; return whether it has."""
    for _ in range(int(seconds / 5)):
        report = world.run(0)
        if report.ended:
            world.end("ended")
            assert report.hopeless == ()
            return True
        world.clock.advance(5)
    return False


ONE = spec_of({"Sim:A": {}}, [{"name": "a", "site": "Sim:A", "count": 2, "max": 2}])


def test_a_site_that_is_gone_is_forgotten_and_the_others_are_cleared(tmp_path: Path) -> None:
    world = World(tmp_path, TWO)
    world.run(90)
    world.sites["Sim:A"].expire_credentials()
    world.end("ending-now")
    report = world.run(300)
    assert not report.ended
    assert len(report.hopeless) == 1
    assert "not logged in" in report.hopeless[0]
    assert world.servers("Sim:B") == 0
    world.end("forgetting")
    assert run_to_the_end(world, 30)
    assert all(worker.reason.startswith("forgotten: ") for worker in world.workers() if worker.site == "Sim:A")
    (told,) = world.events("forgot")
    assert told.site == "Sim:A"
    servers = {worker.name: worker.server_id for worker in world.workers() if worker.site == "Sim:A"}
    assert told.data["servers"] == servers
    assert all(f"server {name} ({server})" in told.reason for name, server in servers.items())
    assert "not logged in" in told.reason


def test_a_site_that_only_does_not_answer_has_two_minutes(tmp_path: Path) -> None:
    world = World(tmp_path, TWO)
    world.run(90)
    world.sites["Sim:A"].down_until(world.clock.now() + timedelta(seconds=100))
    world.end("forgetting")
    assert not world.run(60).ended
    assert run_to_the_end(world, 60)
    assert world.events("forgot") == []
    assert world.states() == {"released": 3}


def test_a_site_that_does_not_delete_is_given_up_later(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    world.sites["Sim:A"].fail_next(10_000, SitePermanentError("forbidden"), verb="delete")
    world.end("forgetting")
    assert not run_to_the_end(world, 500)
    assert run_to_the_end(world, 200)
    (told,) = world.events("forgot")
    assert len(told.data["servers"]) == world.servers("Sim:A") == 2


def test_forgetting_needs_no_answer_ever(tmp_path: Path) -> None:
    world = World(tmp_path, TWO)
    world.run(90)
    world.sites["Sim:A"].down_until(world.clock.now() + timedelta(days=9))
    world.end("forgetting")
    # As after the restart of a daemon, which has seen no list of the site.
    runners = world.loop.runners
    world.loop = world.new_loop()
    assert world.loop.runners is not runners
    assert run_to_the_end(world, 200)
    assert [event.site for event in world.events("forgot")] == ["Sim:A"]
    # The name is free, and what was forgotten is found when the site is back.
    world.sites["Sim:A"].down_until(world.clock.now())
    world.apply(ONE)
    world.sites.pop("Sim:B")
    world.loop = world.new_loop()
    world.run(120)
    assert world.servers("Sim:A") == 2
    assert len(world.events("delete-orphan")) == 2


@pytest.mark.parametrize("error", [SitePermanentError("no image 'x'"), SiteAuthError("not logged in")])
def test_what_repeating_cannot_help_is_hopeless(tmp_path: Path, error: SiteError) -> None:
    world = World(tmp_path, ONE)
    world.sites["Sim:A"].fail_next(50, error)
    report = world.run(10)
    assert report.hopeless == (str(error),)
    # The same spec applied again: someone has corrected it at the site, and it is tried at once.
    world.sites["Sim:A"]._to_fail.clear()
    world.apply(ONE)
    world.loop = world.new_loop()
    report = world.run(90)
    assert (report.hopeless, world.states()["ready"]) == ((), 2)


def test_a_full_site_and_one_of_two_are_not_hopeless(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.sites["Sim:A"].fail_next(50, SiteQuotaError("full"))
    assert world.run(10).hopeless == ()
    both = World(tmp_path / "both", TWO)
    both.sites["Sim:A"].fail_next(50, SitePermanentError("no image 'x'"))
    assert both.run(10).hopeless == ()
    assert both.run(90).hopeless == ("no image 'x'",)


def test_all_or_nothing_is_hopeless() -> None:
    assert all_hopeless({}) == ()
    assert all_hopeless({"a": "why", "b": ""}) == ()
    assert all_hopeless({"a": "why", "b": "why", "c": "how"}) == ("why", "how")


class Untidy:
    """A simulated site that keeps something for a fleet until `clear` is called."""

    def __init__(self, site: Any) -> None:
        self._site = site
        self.left = ["port a-1"]
        self.refusals = 2

    def __getattr__(self, name: str) -> Any:
        return getattr(self._site, name)

    def sweep(self, fleet: str, keep: Collection[str]) -> Sequence[str]:
        raise AssertionError(f"not asked for within these times: {fleet} {keep}")

    def clear(self, fleet: str) -> Sequence[str]:
        assert fleet
        if self.refusals:
            self.refusals -= 1
            raise SiteQuotaError("try again")
        gone, self.left = self.left, []
        return gone


def test_a_fleet_does_not_end_before_its_leftovers_are_gone(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    untidy = Untidy(world.sites["Sim:A"])
    world.loop.runners["Sim:A"] = SiteRunner(untidy, _id(world), parallel=0, clock=world.clock.now)
    world.loop._upkeep._runners = world.loop.runners
    world.end()
    report = world.run(5)
    assert not report.ended
    assert report.held["Sim:A"] == "try again"
    assert world.run(30).ended
    assert untidy.left == []
    assert [event.reason for event in world.events("swept")] == ["removed leftovers: port a-1"]


def test_an_ending_fleet_opens_what_can_be_opened(tmp_path: Path) -> None:
    spec = load_spec(
        {"name": "x", "sites": {"A:a": {"driver": "openstack"}, "B:b": {"driver": "local"}}}, check_options=False
    )
    broken = spec.model_copy(
        update={"sites": {**spec.sites, "A:a": spec.sites["A:a"].model_copy(update={"driver": "gone"})}}
    )
    drivers = open_sites(broken, tmp_path, lenient=True)
    assert list(drivers["B:b"].list("fleet")) == []
    with pytest.raises(SitePermanentError, match="gone") as refused:
        drivers["A:a"].list("fleet")
    assert refused.value.where == "A:a"


def _id(world: World) -> str:
    with world.store.reading() as session:
        return fleet_named(session, "fleet").id
