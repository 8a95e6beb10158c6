"""The loop of a fleet on simulated sites: it comes to what is wanted, whatever sites and pool do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from dynamo.provision.sites.errors import SiteCapacityError, SiteRetryableError
from tests.unit.provision.fleet_world import World, spec_of

#: Hours of fleets, cycle by cycle.
pytestmark = pytest.mark.slow

ONE = spec_of({"Sim:A": {}}, [{"name": "a", "site": "Sim:A", "count": 3, "min": 0, "max": 8}])


def test_from_nothing_to_ready_and_back(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    report = world.run(90)
    assert world.states() == {"ready": 3}
    assert report.settled
    assert [event.reason for event in world.events("grow")] == ["+3 workers: the spec"]
    world.end()
    report = world.run(60)
    assert report.ended
    assert world.states() == {"released": 3}
    assert world.servers("Sim:A") == 0


def test_scaling_down_kills_no_job(tmp_path: Path) -> None:
    world = World(tmp_path, {**ONE, "compute": [{"name": "a", "site": "Sim:A", "count": 6, "max": 8}]})
    world.run(90)
    for _ in range(40):
        world.pool.submit(1, 30.0)
    world.run(10)
    world.apply(ONE | {"compute": [{"name": "a", "site": "Sim:A", "count": 1, "max": 8}]})
    world.loop = world.new_loop()
    world.run(900, step_s=10.0)
    assert world.states()["ready"] == 1
    assert world.states()["released"] == 5
    assert sum(worker.jobs_killed for worker in world.workers()) == 0
    assert world.pool.jobs_killed == 0


def test_a_lost_answer_makes_no_second_server(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.sites["Sim:A"].lose_answer_next(3)
    world.run(200)
    assert world.states() == {"ready": 3}
    assert world.servers("Sim:A") == 3
    assert len(world.events("create-unsure")) == 3


def test_a_vanished_server_is_lost_and_replaced(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    world.sites["Sim:A"].vanish(world.workers()[0].server_id)
    world.run(300)
    assert world.states() == {"ready": 3, "lost": 1}
    assert world.servers("Sim:A") == 3


def test_a_short_list_loses_nobody(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    world.sites["Sim:A"].hide(*[worker.server_id for worker in world.workers()])
    world.run(300)
    assert world.states() == {"ready": 3}
    assert world.servers("Sim:A") == 0
    world.sites["Sim:A"].show()
    assert world.servers("Sim:A") == 3


def test_a_silent_site_and_a_restarted_collector_are_no_reason_to_remove(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    world.sites["Sim:A"].down_until(world.clock.now() + timedelta(minutes=10))
    report = world.run(300)
    assert world.states() == {"ready": 3}
    assert "cannot list its servers" in report.held["Sim:A"]
    world.pool.restart_collector()
    world.run(100)
    assert world.states() == {"ready": 3}
    world.pool.silent_until(world.clock.now() + timedelta(minutes=10))
    report = world.run(500)
    assert world.states() == {"ready": 3}
    assert "pool" in report.held
    assert len([event for event in world.events("hold") if event.data["about"] == "pool"]) == 1


def test_servers_that_nobody_knows_are_adopted_or_deleted(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    from sqlalchemy import delete

    from dynamo.store.fleets import Worker

    with world.store.transaction() as session:
        session.execute(delete(Worker))
    world.loop = world.new_loop()
    world.run(120)
    assert len(world.events("adopted")) == 3
    assert world.states()["ready"] == 3
    assert world.servers("Sim:A") == 3


def test_what_a_site_cannot_give_others_give_until_it_can(tmp_path: Path) -> None:
    spec = spec_of(
        {"Sim:A": {}, "Sim:B": {}},
        [
            {"name": "a", "site": "Sim:A", "count": 4, "max": 6, "workerCpus": 2},
            {"name": "b", "site": "Sim:B", "count": 1, "max": 6, "workerCpus": 2},
        ],
    )
    world = World(tmp_path, spec)
    world.sites["Sim:A"].down_until(world.clock.now() + timedelta(minutes=10))
    world.run(300)
    assert world.states("Sim:B") == {"ready": 5}
    world.run(1800, step_s=20.0)
    assert world.states("Sim:A") == {"ready": 4}
    assert world.states("Sim:B")["ready"] == 1


def test_one_large_machine_stands_in_for_many_small_ones(tmp_path: Path) -> None:
    small = {"name": "small", "cpus": 1, "ram_mb": 2000, "disk_gb": 10}
    large = {"name": "metal", "cpus": 24, "ram_mb": 128_000, "disk_gb": 100}
    spec = spec_of(
        {"Sim:A": {"options": {"flavors": [small]}}, "Sim:B": {"options": {"flavors": [large]}}},
        [
            {"name": "a", "site": "Sim:A", "count": 2, "max": 6},
            {"name": "b", "site": "Sim:B", "count": 0, "max": 6},
        ],
    )
    world = World(tmp_path, spec)
    world.run(120)
    world.sites["Sim:A"].down_until(world.clock.now() + timedelta(minutes=30))
    for worker in world.workers():
        world.pool.leave(worker.name)
    world.run(900, step_s=10.0)
    assert world.states("Sim:B") == {"ready": 1}
    world.run(3000, step_s=20.0)
    assert world.states("Sim:A")["ready"] == 2
    assert world.states("Sim:B") == {"released": 1}


def test_no_capacity_opens_the_breaker_and_one_worker_probes(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.sites["Sim:A"].fail_next(1, SiteCapacityError("no host", where="Sim:A"))
    world.run(10)
    assert world.sites["Sim:A"].calls["create"] <= 3
    report = world.run(400)
    assert world.states()["ready"] == 3
    assert report.settled
    assert world.events("leave-alone")
    assert world.events("trust-again")


def test_passing_failures_do_not_open_it(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.sites["Sim:A"].fail_next(2, SiteRetryableError("503", where="Sim:A"))
    world.run(200)
    assert world.states() == {"ready": 3}
    assert not world.events("leave-alone")


def test_quota_is_told_and_respected(tmp_path: Path) -> None:
    spec = spec_of({"Sim:A": {"options": {"quota": {"servers": 2}}}}, [{"name": "a", "site": "Sim:A", "count": 5}])
    world = World(tmp_path, spec)
    report = world.run(200)
    assert world.states() == {"ready": 2}
    assert "quota" in report.held["a"]
    assert "2 of 2 servers" in report.held["a"]


def test_the_budget_refuses_growth_with_its_reason(tmp_path: Path) -> None:
    spec = spec_of(
        {"Sim:A": {}},
        [{"name": "a", "site": "Sim:A", "count": 5, "costPerHour": 1.0}],
        budget={"per_hour": 2.5, "currency": "EUR"},
    )
    world = World(tmp_path, spec)
    report = world.run(200)
    assert world.states() == {"ready": 2}
    assert "EUR" in report.held["a"]


def test_a_black_hole_is_drained_and_replaced(tmp_path: Path) -> None:
    world = World(tmp_path, ONE)
    world.run(90)
    hole = world.workers()[0].name
    world.pool.make_black_hole(hole)
    for _ in range(300):
        world.pool.submit(1, 20.0)
    world.run(300)
    drained = next(worker for worker in world.workers() if worker.name == hole)
    assert drained.state == "released"
    assert "jobs fail fast there" in " ".join(event.reason for event in world.events("draining"))
    assert world.states()["ready"] == 3


def test_not_more_than_a_share_is_given_up_at_once(tmp_path: Path) -> None:
    world = World(tmp_path, {**ONE, "compute": [{"name": "a", "site": "Sim:A", "count": 8, "max": 8}]})
    world.run(90)
    names = [worker.name for worker in world.workers()]
    for name in names:
        world.pool.leave(name)
    world.run(85, step_s=1.0)
    before = world.states()["ready"]
    assert before == 8
    failed = []
    for _ in range(60):
        world.clock.advance(1)
        world.loop.cycle()
        failed.append(8 - sum(1 for worker in world.workers() if worker.name in names and worker.state == "ready"))
    assert failed[-1] == 8
    assert all(later - earlier <= 2 for earlier, later in zip(failed, failed[10:], strict=False))


def test_workers_that_do_not_join_are_replaced_and_count_against_the_site(tmp_path: Path) -> None:
    spec = spec_of({"Sim:A": {"options": {"join": 10_000}}}, [{"name": "a", "site": "Sim:A", "count": 3}])
    world = World(tmp_path, spec)
    world.run(500)
    assert world.states()["released"] >= 3
    assert world.events("leave-alone")
    assert world.states().get("ready", 0) == 0
    assert world.servers("Sim:A") <= 3


def test_costs_are_kept(tmp_path: Path) -> None:
    from dynamo.provision.cycle.accounting import spent

    spec = spec_of({"Sim:A": {}}, [{"name": "a", "site": "Sim:A", "count": 2, "costPerHour": 3.6}])
    world = World(tmp_path, spec)
    world.run(3600, step_s=60)
    world.end()
    world.run(200)
    world.loop.settle_accounts()
    seconds = 0.0
    for worker in world.workers():
        assert worker.started_at is not None
        assert worker.ended_at is not None
        seconds += (worker.ended_at - worker.started_at).total_seconds()
    with world.store.reading() as session:
        assert abs(spent(session, "fleet") - seconds / 1000) < 0.01
