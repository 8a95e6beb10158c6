"""Of ended fleets, and only of them, what carries their tag is removed; `reconcile` says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from dynamo.provision import ledger
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.leftovers import clear_leftovers
from dynamo.provision.sites.base import Server, ServerStatus, SiteContext, SiteDriver
from dynamo.provision.sites.errors import SiteAuthError
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.states import ACTIVE, ENDED, lease_name
from dynamo.store.engine import Store, open_store
from dynamo.store.lease import StoreLease
from dynamo.times import utc_now


class Cloud:
    """A cloud in memory, by fleet; each fleet has one server and one port."""

    def __init__(self) -> None:
        self.left: dict[str, list[str]] = {}
        self.opened: Counter[str] = Counter()

    def open(self, kind: str, context: SiteContext) -> SiteDriver:
        assert kind == "openstack"
        self.opened[context.site] += 1
        if context.site == "Gone:A":
            raise SiteAuthError("no such cloud", where=context.site)
        return cast("SiteDriver", self)

    def list(self, fleet: str) -> Sequence[Server]:
        servers = [name for name in self.left.get(fleet, ()) if name.startswith("w-")]
        return [Server(name, name, ServerStatus.ACTIVE) for name in servers]

    def delete(self, server_id: str) -> None:
        for names in self.left.values():
            if server_id in names:
                names.remove(server_id)

    def sweep(self, fleet: str, keep: Collection[str]) -> Sequence[str]:
        raise AssertionError(f"of a fleet that has ended nothing is kept: {fleet} {keep}")

    def clear(self, fleet: str) -> Sequence[str]:
        return [f"port {name}" for name in self.left.pop(fleet, ())]

    def close(self) -> None:
        self.opened["closed"] += 1


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


def put(store: Store, name: str, state: str, *sites: str) -> str:
    spec = load_spec({"name": name, "sites": {site: {"driver": "openstack"} for site in sites}})
    with store.transaction() as session:
        fleet, _ = apply_fleet(session, spec, base=Path("unused"), now=utc_now())
        fleet.state = state
        return fleet.id


def test_only_what_is_of_ended_fleets_is_removed(store: Store) -> None:
    dead, also, live = (
        put(store, "dead", ENDED, "Cloud:A", "Gone:A"),
        put(store, "also", ENDED, "Cloud:A"),
        put(store, "live", ACTIVE, "Cloud:A"),
    )
    cloud = Cloud()
    cloud.left = {dead: ["w-1", "p-1"], live: ["w-2"], "of another store": ["w-3"], also: []}
    found = clear_leftovers(store, opened=cloud.open)
    assert found.removed == {("dead", "Cloud:A"): ("server w-1", "port p-1")}
    assert set(found.problems) == {("dead", "Gone:A")}
    assert "no such cloud" in found.problems["dead", "Gone:A"]
    assert cloud.left == {live: ["w-2"], "of another store": ["w-3"]}
    # Each site is opened once, whatever the number of fleets.
    assert cloud.opened == {"Cloud:A": 1, "Gone:A": 1, "closed": 1}
    with store.reading() as session:
        (event,) = ledger.events(session, "dead", action="swept")
    assert event.reason == "removed leftovers: server w-1, port p-1"
    assert clear_leftovers(store, ["also"], opened=cloud.open).removed == {}


def test_a_fleet_that_is_taken_up_again_is_left_to_its_process(store: Store) -> None:
    dead = put(store, "dead", ENDED, "Cloud:A")
    cloud = Cloud()
    cloud.left = {dead: ["w-1"]}
    other = open_store(store.url)
    lease = StoreLease(other, lease_name("dead"))
    lease.take()
    assert clear_leftovers(store, opened=cloud.open).removed == {}
    lease.give_back()
    assert clear_leftovers(store, opened=cloud.open).removed
    other.close()
