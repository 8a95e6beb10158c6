"""The simulated site and pool: purely by their clock, the same for the same seed, with faults to order."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo.errors import InputError, UsageError
from dynamo.provision.pool_link import PoolLink, PoolSilentError
from dynamo.provision.simulated.clock import SimulatedClock
from dynamo.provision.simulated.pool import SimulatedPool
from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites.base import (
    FLEET_TAG,
    GROUP_TAG,
    WORKER_TAG,
    Flavor,
    ServerRequest,
    ServerStatus,
    SiteContext,
    SiteDriver,
)
from dynamo.provision.sites.errors import (
    SiteAuthError,
    SiteCapacityError,
    SitePermanentError,
    SiteQuotaError,
    SiteRetryableError,
)
from dynamo.provision.sites.extras import LeasingSite
from dynamo.provision.sites.registry import open_site
from dynamo.times import to_iso

START = datetime(2019, 6, 10, tzinfo=UTC)
MEDIUM = Flavor("medium", 4, 16384, 80)
STEADY: Mapping[str, object] = {"boot": 60, "join": 15, "delete": 5}


class World:
    """A clock, a pool, and a site."""

    def __init__(self, options: Mapping[str, object] = STEADY, pool: SimulatedPool | None = None, **more: bool | float):
        self.clock = SimulatedClock(START)
        self.pool = pool or SimulatedPool(self.clock, **more)  # type: ignore[arg-type]
        self.site = SimulatedSite(SiteContext("Sim:A", options, Path("unused")), clock=self.clock, pool=self.pool)

    def create(self, name: str, flavor: Flavor = MEDIUM, lease_s: float | None = None) -> str:
        tags = {FLEET_TAG: "f", WORKER_TAG: name, GROUP_TAG: "g"}
        lease_end = None if lease_s is None else self.clock.now() + timedelta(seconds=lease_s)
        return self.site.create(ServerRequest(name, tags, flavor, lease_end=lease_end)).id

    def ready(self, *names: str) -> list[str]:
        ids = [self.create(name) for name in names]
        self.clock.advance(75)
        assert set(names) <= set(self.pool.view().workers)
        return ids

    def status(self, server_id: str) -> ServerStatus | None:
        server = self.site.get(server_id)
        return server.status if server else None


def test_they_are_what_the_provisioner_expects(tmp_path: Path) -> None:
    driver: SiteDriver = open_site("simulated", SiteContext("Sim:A", {}, tmp_path))
    link: PoolLink = SimulatedPool(SimulatedClock())
    assert driver.name == "Sim:A"
    driver = World().site
    assert [flavor.cpus for flavor in driver.flavors()] == [2, 4, 8, 16]
    link.ensure()
    link.stop()
    driver.close()


def test_a_clock_moves_only_when_told_and_only_forwards() -> None:
    clock = SimulatedClock(START)
    assert clock.now() == clock.now() == START
    assert clock.advance(1.5) == clock.advance_to(START + timedelta(seconds=1.5)) == clock.now()
    with pytest.raises(UsageError, match="go back"):
        clock.advance(-1)
    with pytest.raises(UsageError, match="go back"):
        clock.advance_to(START)
    with pytest.raises(UsageError, match="time zone"):
        SimulatedClock(datetime(2019, 6, 10))  # noqa: DTZ001


def test_life_of_a_server() -> None:
    world = World()
    server_id = world.create("w1")
    assert world.create("w1") == server_id
    assert world.status(server_id) is ServerStatus.BUILDING
    assert world.site.next_event_at() == START + timedelta(seconds=60)
    world.clock.advance(59.999999)
    assert world.status(server_id) is ServerStatus.BUILDING
    world.clock.advance(0.000001)
    assert world.status(server_id) is ServerStatus.ACTIVE
    world.clock.advance(14)
    assert not world.pool.view().workers
    world.clock.advance(1)
    slots = world.pool.view().workers["w1"]
    assert (slots.cpus, slots.memory_mb, slots.busy_cpus) == (4, 16384, 0)
    assert slots.started_at == START + timedelta(seconds=75)
    world.site.delete(server_id)
    assert world.status(server_id) is ServerStatus.DELETING
    assert not world.pool.view().workers
    assert world.site.quota().cpus_used == 4
    world.clock.advance(5)
    assert world.status(server_id) is None
    assert list(world.site.list("f")) == []
    assert world.site.quota().cpus_used == 0
    world.site.delete(server_id)
    assert world.site.calls["delete"] == 2


def test_lists_are_of_one_fleet() -> None:
    world = World()
    world.create("w1")
    assert [server.tags[WORKER_TAG] for server in world.site.list("f")] == ["w1"]
    assert not world.site.list("other")


def test_same_seed_same_site_and_the_distribution_asked_for() -> None:
    def boots(seed: int) -> list[float]:
        clock = SimulatedClock(START)
        options = {"boot": {"median_s": 60, "p90_s": 150}, "seed": seed}
        site = SimulatedSite(SiteContext("Sim:A", options, Path("unused")), clock=clock)
        for number in range(2000):
            site.create(ServerRequest(f"w{number}", {FLEET_TAG: "f"}, MEDIUM))
        found = []
        while (at := site.next_event_at()) is not None:
            clock.advance_to(at)
            site.get("")
            found.append((at - START).total_seconds())
        return found

    first = boots(1)
    assert first == boots(1) != boots(2)
    assert median(first) == pytest.approx(60, rel=0.08)
    assert quantiles(first, n=10)[-1] == pytest.approx(150, rel=0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bot": 3}, "did you mean 'boot'"),
        ({"boot": {"median_s": 3}}, "either constant_s, or median_s with p90_s"),
        ({"boot": {"constant_s": 3, "p90_s": 4}}, "either constant_s"),
        ({"boot": {"median_s": 3, "p90_s": 2}}, "not be less"),
        ({"boot": -1}, "boot.constant_s"),
        ({"failure_rate": 1.5}, "failure_rate"),
        ({"flavors": []}, "flavors"),
        ({"flavors": [{"name": "a", "cpus": 1, "ram_mb": 1}] * 2}, "two flavors"),
        ({"flavors": [{"name": "a", "cpus": 1, "ram_mb": 1, "x": 1}]}, "flavors.0.x"),
        ({"outages": [{"start": "2019-06-10T00:00:00Z", "end": "2019-06-10T00:00:00Z"}]}, "end after"),
        ({"outages": [{"start": "2019-06-10T00:00:00", "end": "2019-06-11T00:00:00"}]}, "timezone"),
    ],
)
def test_options_are_checked(options: Mapping[str, object], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words) as caught:
        SimulatedSite(SiteContext("Sim:A", options, tmp_path))
    assert caught.value.where == "Sim:A"


def test_prices() -> None:
    flavors = [{"name": "a", "cpus": 4, "ram_mb": 1}, {"name": "b", "cpus": 4, "ram_mb": 1, "cost_per_hour": 7}]
    site = World({"flavors": flavors, "price_per_cpu_hour": 0.5}).site
    assert [flavor.cost_per_hour for flavor in site.flavors()] == [2.0, 7.0]


def test_quota_flavor_and_capacity() -> None:
    world = World({**STEADY, "quota": {"cpus": 9}, "capacity_servers": 1})
    world.create("w1")
    full = world.create("w2")
    with pytest.raises(SiteQuotaError, match="w3"):
        world.create("w3")
    assert world.site.quota().room(MEDIUM) == 0
    with pytest.raises(SitePermanentError, match="no flavor 'huge'"):
        world.create("w4", Flavor("huge", 64, 1, 1))
    world.clock.advance(2)
    server = world.site.get(full)
    assert server is not None
    assert server.status is ServerStatus.ERROR
    assert server.no_capacity
    assert "No valid host" in server.fault
    first = world.site.list("f")[0].id
    world.site.vanish(first)
    # What is in ERROR takes no host.
    world.clock.advance(2)
    later = world.create("w5")
    world.clock.advance(60)
    assert world.status(later) is ServerStatus.ACTIVE


def test_rates_of_failure() -> None:
    world = World({**STEADY, "failure_rate": 0.2, "no_capacity_rate": 0.1, "no_join_rate": 0.5})
    for number in range(1000):
        world.create(f"w{number}")
    world.clock.advance(80)
    servers = world.site.list("f")
    failed = [server for server in servers if server.status is ServerStatus.ERROR]
    assert 250 < len(failed) < 350
    assert 70 < sum(server.no_capacity for server in failed) < 130
    assert 290 < len(world.pool.view().workers) < 410


def test_errors_to_order() -> None:
    world = World()
    world.site.fail_next(2, SiteCapacityError("no lease", where="Sim:A"))
    for _ in range(2):
        with pytest.raises(SiteCapacityError):
            world.create("w1")
    assert not world.site.list("f")
    world.site.lose_answer_next(1)
    with pytest.raises(SiteRetryableError, match="lost"):
        world.create("w1")
    (server,) = world.site.list("f")
    assert world.create("w1") == server.id
    world.site.lose_answer_next(1, verb="delete")
    with pytest.raises(SiteRetryableError, match="lost"):
        world.site.delete(server.id)
    assert world.status(server.id) is ServerStatus.DELETING
    world.site.fail_next(1, SiteRetryableError("slow", where="Sim:A"), verb="list")
    with pytest.raises(SiteRetryableError):
        world.site.list("f")
    world.site.expire_credentials()
    with pytest.raises(SiteAuthError):
        world.site.quota()
    world.site.renew_credentials()
    world.site.quota()


def test_outages_leave_servers_alone() -> None:
    start, end = START + timedelta(seconds=10), START + timedelta(seconds=200)
    world = World({**STEADY, "outages": [{"start": to_iso(start), "end": to_iso(end)}]})
    world.create("w1")
    world.clock.advance(10)
    with pytest.raises(SiteRetryableError, match="no answer"):
        world.site.list("f")
    world.clock.advance(90)
    assert set(world.pool.view().workers) == {"w1"}
    world.clock.advance_to(end)
    assert world.site.list("f")[0].status is ServerStatus.ACTIVE
    world.site.down_until(end + timedelta(seconds=1))
    with pytest.raises(SiteRetryableError):
        world.site.flavors()
    world.clock.advance(1)
    world.site.flavors()


def test_servers_that_go_stop_or_hide() -> None:
    world = World()
    first, second, third = world.ready("w1", "w2", "w3")
    world.site.vanish(first)
    world.site.stop(second)
    assert world.status(first) is None
    assert world.status(second) is ServerStatus.STOPPED
    assert set(world.pool.view().workers) == {"w3"}
    world.site.hide(third, until=world.clock.now() + timedelta(seconds=5))
    assert [server.name for server in world.site.list("f")] == ["w2"]
    assert world.status(third) is ServerStatus.ACTIVE
    world.clock.advance(5)
    assert len(world.site.list("f")) == 2
    world.site.hide(third)
    assert len(world.site.list("f")) == 1
    world.site.show()
    assert len(world.site.list("f")) == 2


def test_stopped_or_vanished_while_booting_never_joins() -> None:
    world = World()
    ids = [world.create(name) for name in ("w1", "w2", "w3")]
    world.site.stop(ids[0])
    world.site.vanish(ids[1])
    world.site.delete(ids[2])
    world.clock.advance(1000)
    assert not world.pool.view().workers
    assert [server.status for server in world.site.list("f")] == [ServerStatus.STOPPED]


def test_lists_lag_and_leases_end() -> None:
    world = World({**STEADY, "list_lag_s": 10})
    server_id = world.create("w1", lease_s=100)
    assert not world.site.list("f")
    world.clock.advance(10)
    assert world.site.list("f")[0].lease_end == START + timedelta(seconds=100)
    world.clock.advance(80)
    job = world.pool.submit(1, 60)
    world.clock.advance(10)
    # The pool knows it even where nobody has asked the site.
    view = world.pool.view()
    assert (view.workers, view.idle_cpus, world.pool.jobs_killed) == ({}, 1, 1)
    assert world.status(server_id) is None
    assert not world.pool.finished(START)
    assert job == "1.0"


def test_a_lease_can_be_prolonged() -> None:
    world = World()
    site: LeasingSite = world.site
    assert isinstance(site, LeasingSite)
    server_id = world.create("w1", lease_s=100)
    end = START + timedelta(seconds=300)
    assert site.extend(server_id, end) == end
    assert site.extend(server_id, START) == end
    world.clock.advance(299)
    assert set(world.pool.view().workers) == {"w1"}
    assert world.site.list("f")[0].lease_end == end
    world.clock.advance(1)
    assert not world.pool.view().workers
    assert not world.site.list("f")
    with pytest.raises(SitePermanentError, match="no lease"):
        site.extend(world.create("w2"), end)


def test_jobs_wait_run_and_end_at_their_instants() -> None:
    world = World()
    jobs = [world.pool.submit(2, 30, run="r", workflow="hail"), world.pool.submit(1, 10), world.pool.submit(4, 5)]
    assert world.pool.view().idle_cpus == 7
    world.create("w1")
    world.clock.advance(200)
    done = world.pool.finished(START)
    # Worked out in one go, yet each at its own time: the third had to wait for the first.
    assert [(each.job, (each.ended_at - START).total_seconds()) for each in done] == [
        (jobs[1], 85),
        (jobs[0], 105),
        (jobs[2], 110),
    ]
    assert (done[1].run, done[1].workflow, done[1].wall_s, done[1].cpus, done[1].ok) == ("r", "hail", 30, 2, True)
    assert [each.job for each in world.pool.finished(done[0].ended_at)] == [jobs[0], jobs[2]]
    assert (world.pool.jobs_ok, world.pool.used_cpu_s) == (3, 90.0)


def test_a_job_too_large_holds_up_nobody() -> None:
    world = World()
    world.ready("w1")
    world.pool.submit(64, 1)
    world.pool.submit(1, 1)
    assert (world.pool.counts(), world.pool.view().running_cpus, world.pool.view().idle_cpus) == ((1, 1), 1, 64)
    with pytest.raises(UsageError):
        world.pool.submit(0, 1)


def test_load_gathers_on_few_workers() -> None:
    world = World()
    world.ready("w1", "w2")
    for _ in range(4):
        world.pool.submit(1, 10)
    assert sorted(slots.busy_cpus for slots in world.pool.view().workers.values()) == [0, 4]


def test_killed_jobs_are_counted_and_begin_again_in_their_order() -> None:
    world = World()
    (first,) = world.ready("w1")
    jobs = [world.pool.submit(4, 100), world.pool.submit(4, 100)]
    world.clock.advance(40)
    world.site.vanish(first)
    assert (world.pool.jobs_killed, world.pool.wasted_cpu_s, world.pool.view().idle_cpus) == (1, 160.0, 8)
    world.ready("w2")
    assert world.pool.view().workers["w2"].jobs == (jobs[0],)
    world.clock.advance(500)
    assert [each.job for each in world.pool.finished(START)] == jobs


def test_draining() -> None:
    world = World()
    world.ready("w1")
    world.pool.submit(1, 20)
    world.pool.drain("w1", deadline_s=60)
    world.pool.submit(1, 20)
    slots = world.pool.view().workers["w1"]
    assert (slots.draining, slots.drained, len(slots.jobs)) == (True, False, 1)
    world.clock.advance(20)
    assert world.pool.view().workers["w1"].drained
    assert world.pool.counts() == (1, 0)
    assert world.pool.jobs_killed == 0
    world.pool.drain("nobody", deadline_s=1)


def test_the_first_deadline_of_a_drain_holds() -> None:
    world = World()
    world.ready("w1")
    world.pool.submit(1, 1000)
    world.pool.drain("w1", deadline_s=60)
    world.clock.advance(30)
    world.pool.drain("w1", deadline_s=60)
    world.clock.advance(29)
    assert world.pool.counts() == (0, 1)
    world.clock.advance(1)
    assert world.pool.view().workers["w1"].drained
    assert (world.pool.jobs_killed, world.pool.counts()) == (1, (1, 0))


def test_a_collector_that_restarts_knows_nobody_for_a_while() -> None:
    world = World(update_interval_s=5.0)
    world.ready("w1", "w2")
    world.pool.submit(1, 100)
    world.clock.advance(1)
    before = world.pool.view()
    world.pool.restart_collector()
    after = world.pool.view()
    assert after.collector_since == after.taken_at > before.collector_since
    assert not after.workers
    assert len(before.workers) == 2
    assert after.running_cpus == 1
    world.clock.advance(5)
    assert len(world.pool.view().workers) == 2
    assert world.pool.jobs_killed == 0


def test_a_silent_pool() -> None:
    world = World()
    world.ready("w1")
    world.pool.silent_until(world.clock.now() + timedelta(seconds=10))
    world.pool.submit(1, 5)
    with pytest.raises(PoolSilentError):
        world.pool.view()
    with pytest.raises(PoolSilentError):
        world.pool.drain("w1", deadline_s=1)
    world.clock.advance(10)
    assert world.pool.finished(START)[0].ok


def test_papers_admission_and_revocation() -> None:
    world = World(admission=True)
    for name in ("w1", "w2", "w3"):
        world.pool.papers(name)
        world.create(name)
    world.pool.revoke(["w2"])
    assert world.pool.admit(["w1"]) == []
    world.clock.advance(75)
    assert not world.pool.view().workers
    assert world.pool.admit(["w1", "w2"]) == ["w1"]
    assert set(world.pool.view().workers) == {"w1"}
    assert world.pool.refused == ["w2"]
    assert world.pool.admit(["w1", "w2", "w3"]) == ["w3"]
    assert world.pool.papers_made == {"w1": 1, "w2": 1, "w3": 1}
    assert world.pool.papers("w4", script="true", remote=False).private_files
    assert "true" in world.pool.papers("w4", script="true").user_data


def test_without_admission_workers_join_by_themselves() -> None:
    world = World()
    world.create("w2")
    world.pool.revoke(["w2"])
    world.ready("w1")
    assert set(world.pool.view().workers) == {"w1"}
    assert world.pool.admit(["w1", "w2"]) == ["w1"]
    assert world.pool.admit(["w1", "w2"]) == []


def test_black_holes_eat_jobs() -> None:
    world = World()
    world.ready("w1")
    world.pool.make_black_hole("w1")
    for _ in range(8):
        world.pool.submit(1, 600)
    world.clock.advance(2)
    done = world.pool.finished(START)
    assert len(done) == world.pool.jobs_failed == 8
    assert not any(each.ok for each in done)


def test_a_worker_without_a_good_bye_is_shown_for_a_while() -> None:
    world = World(ad_lifetime_s=30.0)
    (first,) = world.ready("w1")
    world.pool.submit(1, 100)
    world.site.vanish(first)
    assert world.pool.view().workers["w1"].busy_cpus == 1
    assert world.pool.counts() == (1, 0)
    world.clock.advance(30)
    assert not world.pool.view().workers


def test_views_do_not_change_and_unchanged_slots_are_the_same_objects() -> None:
    world = World()
    world.ready("w1", "w2")
    first = world.pool.view()
    world.pool.submit(1, 10)
    second = world.pool.view()
    changed = [name for name in first.workers if first.workers[name] is not second.workers[name]]
    assert len(changed) == 1
    assert first.workers[changed[0]].busy_cpus == 0


def test_old_jobs_are_forgotten() -> None:
    world = World(history_s=100.0)
    world.ready("w1")
    for _ in range(12_000):
        world.pool.submit(4, 1)
    world.clock.advance(12_000)
    kept = world.pool.finished(START)
    assert 100 <= len(kept) < 3000
    assert world.pool.jobs_ok == 12_000


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["create", "submit", "advance", "drain", "vanish", "stop", "delete", "restart", "lose", "black hole"]
        ),
        st.integers(1, 9),
    ),
    max_size=40,
)


def play(steps: list[tuple[str, int]]) -> tuple[World, list[str], int]:
    """Do the steps; return the world, what was seen on the way, and how many jobs were submitted."""
    world = World({"boot": {"median_s": 5, "p90_s": 9}, "join": 1, "delete": 2}, ad_lifetime_s=3.0)
    seen = []
    submitted = 0
    for step, (what, n) in enumerate(steps):
        servers = world.site.list("f")
        chosen = servers[n % len(servers)] if servers else None
        if what == "create":
            world.create(f"w{step}", lease_s=100 if n == 9 else None)
        elif what == "submit":
            for each in range(n):
                world.pool.submit(1 + each % 4, 3.0 * n)
            submitted += n
        elif what == "advance":
            world.clock.advance(1.7 * n)
        elif what == "restart":
            world.pool.restart_collector()
        elif chosen is not None and what == "drain":
            world.pool.drain(chosen.name, deadline_s=n)
        elif chosen is not None and what == "lose":
            world.pool.leave(chosen.name, clean=False)
        elif chosen is not None and what == "black hole" and chosen.name in world.pool.view().workers:
            world.pool.make_black_hole(chosen.name)
        elif chosen is not None and what in ("vanish", "stop", "delete"):
            getattr(world.site, what)(chosen.id)
        seen.append(f"{world.pool.view()} {world.site.list('f')} {world.site.quota()}")
    return world, seen, submitted


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_no_job_is_lost_no_processor_used_twice_and_all_is_repeatable(steps: list[tuple[str, int]]) -> None:
    world, seen, submitted = play(steps)
    view = world.pool.view()
    waiting, running = world.pool.counts()
    assert waiting + running + len(world.pool.finished(START)) == submitted
    assert all(0 <= slots.busy_cpus <= slots.cpus for slots in view.workers.values())
    assert not any(slots.drained and slots.jobs for slots in view.workers.values())
    servers = world.site.list("f")
    assert world.site.quota().servers_used == len(servers)
    assert world.site.quota().cpus_used == 4 * len(servers)
    assert play(steps)[1] == seen
    # With a new worker and time, all of them end.
    for server in servers:
        world.site.delete(server.id)
    world.ready("last")
    world.clock.advance(100_000)
    assert world.pool.counts() == (0, 0)
    assert len(world.pool.finished(START)) == submitted


def test_calls_from_many_threads() -> None:
    world = World({**STEADY, "quota": {"servers": 50}})

    def work(number: int) -> str:
        try:
            server_id = world.create(f"w{number % 60}")
        except SiteQuotaError:
            return ""
        world.pool.submit(1, 5)
        world.clock.advance(0.1)
        world.pool.view()
        return server_id

    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(work, range(240)))
    assert len(set(ids) - {""}) == len(world.site.list("f")) == 50
