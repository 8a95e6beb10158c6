"""How many new workers may be asked for, and the sentence for those that may not: on plain data."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, update

from dynamo.errors import UsageError
from dynamo.provision.deciding.breaker import HEALTHY, SiteTrust
from dynamo.provision.deciding.groups import GroupPlan, plan_groups
from dynamo.provision.deciding.growth import Growth, SiteRoom, plan_growth, quota_words
from dynamo.provision.sites.base import Flavor, Quota
from dynamo.provision.spec.loading import load_spec
from dynamo.store.fleets import Fleet, Worker
from tests.unit.provision.fleet_world import World, spec_of

#: Hours of fleets, cycle by cycle.
pytestmark = pytest.mark.slow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLAVOR = Flavor("small", 2, 4096, 20)


def plans(**group: Any) -> dict[str, GroupPlan]:
    site = {"driver": "simulated", **group.pop("site", {})}
    groups = [{"name": name, "site": "Sim:A", "count": 5, **group} for name in ("a", "b")]
    spec = load_spec({"name": "fleet", "sites": {"Sim:A": site}, "compute": groups})
    return plan_groups(spec, {"Sim:A": [FLAVOR]}, {}, applied_at=NOW, now=NOW, ending=False)


def grow(
    groups: dict[str, GroupPlan], want: dict[str, int], *, there: dict[str, int] | None = None, **more: Any
) -> Growth:
    """Plan growth; ``there`` is how many workers each group has, the rest fields of `SiteRoom` and arguments."""
    affordable = more.pop("affordable", {})
    room = {"health": HEALTHY, "open": True, "quota": None, "pending": 0, "requested": 0, "living": 0, **more}
    rooms = {"Sim:A": SiteRoom(**room)}
    return plan_growth(
        groups, want, rooms, cheapest_first=["a", "b"], problems={}, affordable=affordable, living=there or {}
    )


def test_what_is_missing_is_asked_for() -> None:
    found = grow(plans(), {"a": 2, "b": -1})
    assert found.add == {"a": 2}
    assert found.held == {}


@pytest.mark.parametrize(
    ("group", "state", "words"),
    [
        ({}, {"quota": Quota(servers=20, servers_used=18), "pending": 1}, "18 of 20 servers used"),
        ({}, {"quota": Quota(cpus=10, cpus_used=8)}, "8 of 10 cpus used"),
        ({"site": {"max_workers": 10}}, {"living": 9}, "the site's cap of 10 workers"),
        ({}, {"health": SiteTrust(3, NOW, "retryable", "it was away")}, "it was away"),
        ({"costPerHour": 1.0}, {"affordable": {"a": (1, "the cap of 4 USD"), "b": (1, "the cap of 4 USD")}}, "4 USD"),
    ],
    ids=["servers", "cpus", "site", "probe", "budget"],
)
def test_one_is_left_for_both_groups(group: dict[str, Any], state: dict[str, Any], words: str) -> None:
    found = grow(plans(**group), {"a": 3, "b": 2}, **state)
    assert found.add == {"a": 1}
    assert set(found.held) == {"a", "b"}
    assert words in found.held["a"]
    assert "3 requested, 1 being created" in found.held["a"]


def test_a_groups_cap_counts_those_that_leave() -> None:
    found = grow(plans(max=5), {"a": 2}, there={"a": 4})
    assert found.add == {"a": 1}
    assert "the group's cap of 5 workers" in found.held["a"]


def test_a_site_that_is_left_alone_gets_nobody_and_says_until_when() -> None:
    found = grow(plans(), {"a": 1}, open=False, health=SiteTrust(3, NOW, "auth", "credentials expired"))
    assert found.add == {}
    assert "paused until 00:00:00 UTC: credentials expired" in found.held["a"]


def test_quota_words() -> None:
    assert quota_words(Quota()) == "no limits"
    assert quota_words(Quota(cpus=16, remark="workers share 2 cpus")) == "0 of 16 cpus used (workers share 2 cpus)"
    assert quota_words(Quota(servers=2, servers_used=1, ram_mb=9, ram_mb_used=8)) == (
        "1 of 2 servers, 8 of 9 MB of memory used"
    )


def test_a_site_without_hosts_is_asked_less_and_less_often(tmp_path: Path) -> None:
    spec = spec_of({"Sim:A": {"options": {"no_capacity_rate": 1.0}}}, [{"name": "a", "site": "Sim:A", "count": 3}])
    world = World(tmp_path, spec)
    world.run(900)
    told = [event.time for event in world.events("leave-alone")]
    waits = [(later - earlier).total_seconds() for earlier, later in pairwise(told)]
    assert len(waits) > 2
    assert all(later > 1.3 * earlier for earlier, later in pairwise(waits))
    # All three at first; from then on one at a time.
    assert len(world.workers()) == 3 + len(waits)
    assert world.servers("Sim:A") == 0


def test_a_site_stays_in_the_spec_until_its_workers_are_gone(tmp_path: Path) -> None:
    groups = [{"name": name, "site": f"Sim:{name.upper()}", "count": 1} for name in ("a", "b")]
    both: dict[str, dict[str, Any]] = {"Sim:A": {}, "Sim:B": {}}
    world = World(tmp_path, spec_of(both, groups))
    world.run(90)
    only_a = spec_of({"Sim:A": {}}, groups[:1])
    with pytest.raises(UsageError, match="still workers at Sim:B"):
        world.apply(only_a)
    world.apply(spec_of(both, groups[:1]))
    world.loop = world.new_loop()
    world.run(60)
    assert world.servers("Sim:B") == 0
    world.apply(only_a)


def test_a_store_that_was_put_back_does_not_use_a_name_again(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({"Sim:A": {}}, [{"name": "a", "site": "Sim:A", "count": 2, "max": 4}]))
    world.run(90)
    with world.store.transaction() as session:
        # A backup from before the first worker.
        session.execute(delete(Worker))
        session.execute(update(Fleet).values(next_number=1))
    world.loop = world.new_loop()
    world.run(30)
    world.sites["Sim:A"].vanish(world.workers()[0].server_id)
    world.run(200)
    assert world.states() == {"ready": 2, "lost": 1}
    assert len({worker.name for worker in world.workers()}) == 3
