"""What policies see of a fleet in the store, and what past workers teach of boots."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynamo.autoscale.boots import PRIORS, expected_left_s, failure_rate, learn_boots
from dynamo.autoscale.model import BootTimes
from dynamo.autoscale.observing import Observed, _paid_until, observe
from dynamo.provision import ledger
from dynamo.provision.deciding.breaker import SiteTrust
from dynamo.provision.fleets import scale
from dynamo.provision.site_facts import SiteFacts, SiteFactsWriter, read_site_facts
from dynamo.provision.sites.base import Flavor, Quota
from tests.unit.provision.fleet_world import World, spec_of

SITE = "Cloud:one"
GROUP = {"name": "worker", "site": SITE, "count": 0, "min": 0, "max": 8, "workerCpus": 2, "costPerHour": 0.5}


def look(world: World) -> Observed:
    with world.store.reading() as session:
        return observe(session, "fleet", world.clock.now())


def order(world: World, wanted: int) -> None:
    with world.store.transaction() as session:
        scale(session, "fleet", "worker", wanted, world.clock.now(), source="autoscaler")


def test_priors_stand_until_somebody_was_seen() -> None:
    before = BootTimes(100, 200)
    assert learn_boots([], [], before) == BootTimes(100, 200, 0)
    one = learn_boots([20], [], before)
    assert 20 < one.median_s < 100
    assert one.observations == 1
    many = learn_boots([20.0] * 36, [], before)
    assert many.median_s == pytest.approx(28)
    assert many.p90_s == pytest.approx(38)


def test_a_boot_that_takes_too_long_says_that_boots_are_slow() -> None:
    before = BootTimes(10, 20)
    calm = learn_boots([10.0] * 20, [5.0], before)
    slow = learn_boots([10.0] * 20, [400.0] * 5, before)
    assert calm.p90_s < 20 < slow.p90_s
    assert slow.median_s >= calm.median_s


def test_a_late_worker_is_expected_later() -> None:
    boot = BootTimes(100, 160)
    assert expected_left_s(0, boot) == 100
    assert expected_left_s(60, boot) == 40
    assert expected_left_s(100, boot) == 30
    assert expected_left_s(900, boot) == 200


def test_failures_count_once_there_are_some() -> None:
    assert failure_rate(0, 0) == 0
    assert failure_rate(1, 1) == pytest.approx(1 / 6)
    assert failure_rate(20, 10) == pytest.approx(0.4)


def test_an_empty_fleet_has_its_limits_and_priors(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {"weight": 2}}, [GROUP]))
    world.run(20)
    seen = look(world)
    (option,) = seen.view.groups
    assert (option.least, option.most, option.cpus, option.cost_per_hour) == (0, 8, 2, 0.5)
    assert option.boot == PRIORS["simulated"]
    assert option.open
    assert option.weight == 2
    assert seen.view.workers == ()
    assert seen.view.affordable_per_hour is None
    assert seen.active
    assert seen.now_wanted == {"worker": 0}
    assert seen.held == {}


def test_workers_that_come_are_expected_and_teach(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {}}, [GROUP]))
    order(world, 2)
    world.run(20)
    seen = look(world)
    assert all(worker.coming and worker.ready_at > world.clock.now() for worker in seen.view.workers)
    world.run(200)
    (option,) = look(world).view.groups
    ready = look(world).view.workers
    assert len(ready) == 2
    assert not any(worker.coming for worker in ready)
    assert all(worker.ready_at <= world.clock.now() for worker in ready)
    assert option.boot.observations == 2
    assert option.boot.median_s < PRIORS["simulated"].median_s


def test_the_quota_limits_the_most(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {}}, [GROUP]))
    order(world, 2)
    world.run(200)
    now = world.clock.now()
    facts = SiteFacts({SITE: (Flavor("two", 2, 2048, 10),)}, {SITE: Quota(servers=5, servers_used=2)}, {SITE: now})
    assert SiteFactsWriter(world.store, "fleet").write(facts, now)
    with world.store.reading() as session:
        assert read_site_facts(session, "fleet") == facts
    assert look(world).view.groups[0].most == 5
    # Two that were asked for after the quota was counted.
    order(world, 4)
    world.run(10)
    assert look(world).view.groups[0].most == 5


def test_facts_are_written_when_they_change(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {}}, [GROUP]))
    writer, now = SiteFactsWriter(world.store, "fleet"), world.clock.now()
    first = SiteFacts(quotas={SITE: Quota(cpus=8)}, counted_at={SITE: now})
    assert writer.write(first, now)
    later = now + timedelta(seconds=10)
    assert not writer.write(SiteFacts(quotas={SITE: Quota(cpus=8)}, counted_at={SITE: later}), later)
    assert writer.write(SiteFacts(quotas={SITE: Quota(cpus=8, cpus_used=2)}, counted_at={SITE: later}), later)
    assert writer.write(SiteFacts(quotas={SITE: Quota(cpus=8, cpus_used=2)}), later + timedelta(minutes=6))


def test_a_site_that_is_left_alone_is_closed(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {}}, [GROUP]))
    until = world.clock.now() + timedelta(minutes=5)
    with world.store.transaction() as session:
        ledger.store_health(session, "fleet", SITE, SiteTrust(3, until, "retryable", "away"), None)
    assert not look(world).view.groups[0].open
    world.clock.advance(600)
    assert look(world).view.groups[0].open


def test_a_budget_leaves_so_much(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {}}, [GROUP], budget={"per_hour": 2.0}))
    assert look(world).view.affordable_per_hour == pytest.approx(2.0)
    order(world, 3)
    world.run(20)
    assert look(world).view.affordable_per_hour == pytest.approx(0.5)


def test_without_a_cap_a_group_grows_no_farther_than_the_spec_says(tmp_path: Path) -> None:
    group = {"name": "worker", "site": SITE, "count": 3, "workerCpus": 1}
    world = World(tmp_path, spec_of({SITE: {}}, [group]))
    (option,) = look(world).view.groups
    assert option.most == 3


def test_a_lease_that_has_not_begun_allows_none(tmp_path: Path) -> None:
    world = World(tmp_path, spec_of({SITE: {}}, [{**GROUP, "leaseStart": "+1h", "leaseEnd": "+2h"}]))
    assert look(world).view.groups[0].most == 0
    world.clock.advance(3700)
    assert look(world).view.groups[0].most == 8


def test_hours_that_were_begun_are_paid_to_their_end() -> None:
    start = datetime(2019, 6, 10, tzinfo=UTC)
    now = start + timedelta(seconds=3700)
    assert _paid_until(start, 3600.0, now) == start + timedelta(hours=2)
    assert _paid_until(start, 1.0, now) is None
    assert _paid_until(None, 3600.0, now) is None
