"""Faults of a real OpenStack: afterwards the fleet is as wanted, nothing is left over or was removed wrongly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo.provision.cycle.reconcile import CycleReport
from dynamo.provision.keeping.fleet_loop import FleetLoop
from tests.openstack import faults
from tests.openstack.proxy import Mode, server_creations, server_deletions
from tests.openstack.sandbox import Sandbox
from tests.openstack_live.kill_support import SITE, FleetHere

Make = Callable[..., FleetHere]
Condition = Callable[[CycleReport], object]
AWAY_S = 20.0


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path) -> Iterator[Make]:
    made: list[FleetHere] = []

    def making(**given: Any) -> FleetHere:
        made.append(FleetHere(sandbox, tmp_path / f"fleet-{len(made)}", **given))
        return made[-1]

    yield making
    for fleet in made:
        fleet.clean()


def until(loop: FleetLoop, condition: Condition, timeout_s: float = 150.0) -> CycleReport:
    """Go through cycles until something is true."""
    deadline = time.monotonic() + timeout_s
    while not condition(report := loop.cycle()):
        assert time.monotonic() < deadline, f"it did not happen in time: {report}"
        loop.wait(0.5)
    return report


def ready(count: int) -> Condition:
    return lambda report: report.settled and report.counts == {"k": {"ready": count}}


def test_nova_api_stopped_for_a_while(sandbox: Sandbox, make: Make) -> None:
    fleet = make()
    with fleet.loop() as loop:
        until(loop, ready(1))
        before = fleet.servers()
        with faults.service_down(sandbox, "nova-api"):
            fleet.scale(2)
            end = time.monotonic() + AWAY_S
            until(loop, lambda _: time.monotonic() > end)
            report = loop.cycle()
            assert "cannot list its servers" in report.held[SITE]
            assert report.counts["k"]["ready"] == 1
        until(loop, ready(2))
    fleet.check(2)
    assert before.items() <= fleet.servers().items()
    assert not fleet.events("lost") + fleet.events("failed")


def test_quota_reached(sandbox: Sandbox, make: Make) -> None:
    fleet = make()
    with fleet.loop() as loop:
        until(loop, ready(1))
        with faults.quota_left(sandbox, 0):
            fleet.scale(2)
            report = until(loop, lambda report: "quota" in report.held.get("k", ""))
            assert report.counts["k"]["ready"] == 1
        until(loop, ready(2))
    fleet.check(2)
    assert not fleet.events("failed")


def test_no_valid_host(make: Make) -> None:
    fleet = make(group={"flavor": "impossible"})
    with fleet.loop() as loop:
        until(loop, lambda _: fleet.events("leave-alone"))
        assert fleet.events("leave-alone")[0].data["kind"] == "no-capacity"
        assert "No valid host" in fleet.events("failed")[0].reason
        fleet.apply(flavor="m1.tiny")
        until(loop, ready(1))
    fleet.check(1)


def test_a_server_deleted_behind_our_back(sandbox: Sandbox, make: Make) -> None:
    fleet = make(count=2)
    with fleet.loop() as loop:
        until(loop, ready(2))
        kept, gone = sorted(fleet.servers())
        faults.delete_behind_back(sandbox, gone)
        until(loop, lambda _: any(worker.ended_at for worker in fleet.workers()))
        until(loop, ready(2))
    fleet.check(2)
    assert kept in fleet.servers()
    assert len(fleet.workers()) == 3


def test_a_create_that_times_out_but_succeeds(sandbox: Sandbox, make: Make, tmp_path: Path) -> None:
    with faults.nova_proxy(sandbox, tmp_path) as (proxy, clouds):
        proxy.become(Mode.LOSE_ANSWER, chosen=server_creations, remaining=1)
        fleet = make(clouds=clouds)
        with fleet.loop() as loop:
            until(loop, ready(1))
        assert sum(server_creations(method, path) for method, path, _ in proxy.seen) == 1
    fleet.check(1)
    assert len(fleet.workers()) == 1


def test_a_delete_that_times_out_but_succeeds(sandbox: Sandbox, make: Make, tmp_path: Path) -> None:
    with faults.nova_proxy(sandbox, tmp_path) as (proxy, clouds):
        fleet = make(clouds=clouds)
        with fleet.loop() as loop:
            until(loop, ready(1))
            proxy.become(Mode.LOSE_ANSWER, chosen=server_deletions, remaining=1)
            fleet.end()
            until(loop, lambda report: report.ended)
    fleet.check(0)


def test_a_slow_api(sandbox: Sandbox, make: Make, tmp_path: Path) -> None:
    with faults.nova_proxy(sandbox, tmp_path) as (proxy, clouds):
        proxy.become(Mode.DELAY, delay_s=3.0)
        fleet = make(clouds=clouds, count=2, timeout_s=15.0)
        with fleet.loop() as loop:
            until(loop, ready(2))
            # The cycle itself waits for nobody.
            began = time.monotonic()
            loop.cycle()
            assert time.monotonic() - began < 2.5
    fleet.check(2)
    assert len(fleet.workers()) == 2


def test_an_expired_token_is_renewed(sandbox: Sandbox, make: Make) -> None:
    fleet = make()
    with fleet.loop() as loop:
        until(loop, ready(1))
        driver: Any = loop.reconciler.runners[SITE].driver
        with driver.access.use("read the token") as connection:
            faults.revoke_token(sandbox, str(connection.session.get_token()))
        fleet.scale(2)
        until(loop, ready(2))
    fleet.check(2)
    assert len(fleet.workers()) == 2


def test_expired_credentials_are_told_and_nobody_is_removed(sandbox: Sandbox, make: Make, tmp_path: Path) -> None:
    credential = faults.application_credential(sandbox, tmp_path)
    fleet = make(clouds=credential.clouds_yaml)
    with fleet.loop() as loop:
        until(loop, ready(1))
        credential.revoke()
        fleet.scale(2)
        # By then the site was asked for a list, or for a server.
        report = until(loop, lambda report: any("application credential" in text for text in report.held.values()))
        assert report.counts["k"]["ready"] == 1
    # A person puts in good credentials; the file is read when the fleet is opened.
    credential.clouds_yaml.write_text(sandbox.clouds_yaml.read_text())
    fleet.run(2)
    fleet.check(2)
    assert fleet.workers()[0].state == "ready"
    assert not fleet.events("lost") + fleet.events("failed")
    assert {note.data["kind"] for note in fleet.events("leave-alone")} == {"auth"}
