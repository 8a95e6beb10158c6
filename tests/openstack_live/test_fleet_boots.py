"""Servers made through the real API become real workers, take jobs, drain and disappear."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dynamo.provision.sites.base import ServerStatus
from tests.integration.provision.fleet_run import EVICTED, FleetRun, boot_script, ended_jobs, worker_part
from tests.openstack.sandbox import Sandbox
from tests.openstack_live.support import LEASED_HOSTS, NODE_TYPE, Fleet
from tests.waiting import wait_for

GATEWAY = "10.140.0.1"
QUICK = {"cycle_s": 1, "collector_grace_s": 5, "join_timeout_s": 200, "max_removal_share": 1.0}


def spec(
    sandbox: Sandbox, name: str, site: Mapping[str, Any], group: Mapping[str, Any], **policy: Any
) -> dict[str, Any]:
    options = {"config_file": str(sandbox.clouds_yaml), **site.get("options", {})}
    return {
        "name": name,
        "pool": {"address": GATEWAY},
        "sites": {"Sandbox:here": {**site, "options": options, "worker": worker_part(), "boot_timeout_s": 120}},
        "compute": [
            {
                "name": "w",
                "site": "Sandbox:here",
                "image": "CC-Ubuntu22.04",
                "network": "sharednet1",
                "postBootScript": boot_script(),
                **group,
            }
        ],
        "policy": {**QUICK, **policy},
    }


@pytest.fixture
def runs() -> Iterator[list[FleetRun]]:
    started: list[FleetRun] = []
    yield started
    for run in started:
        run.close()


def test_servers_become_workers_take_jobs_drain_and_disappear(
    sandbox: Sandbox, tmp_path: Path, runs: list[FleetRun]
) -> None:
    site = {"driver": "openstack", "cloud": "tacc", "region": "KVM@TACC"}
    group = {"count": 3, "max": 4, "flavour": "m1.small"}
    run = FleetRun(tmp_path, spec(sandbox, "boots", site, group))
    runs.append(run)
    run.settled()
    servers = {worker.name: worker.server_id for worker in run.workers()}
    assert len(servers) == 3
    cloud = sandbox.connect("tacc")
    assert {cloud.compute.get_server(server).name for server in servers.values()} == set(servers)
    log = run.submit(15, 4)
    run.until(lambda _report: ended_jobs(log) >= 3)
    run.apply(spec(sandbox, "boots", site, {**group, "count": 1}))
    run.settled()
    run.until(lambda _report: ended_jobs(log) == 15)
    assert EVICTED not in log.read_text()
    assert sum(worker.jobs_killed for worker in run.workers()) == 0
    assert [worker.state for worker in run.workers()].count("released") == 2
    run.end()
    left = {server.name for server in cloud.compute.servers(details=False)}
    assert not left & set(servers)


def test_lease_then_worker_then_extension_then_end(
    sandbox: Sandbox, fleet: Fleet, tmp_path: Path, runs: list[FleetRun]
) -> None:
    fleet.need_hosts()
    site = {
        "driver": "chameleon",
        "cloud": "uc",
        "region": "CHI@UC",
        "options": {"lease_h": 0.2, "node_type": NODE_TYPE},
    }
    group = {"count": 1, "max": 1, "flavour": "baremetal"}
    # The lease is of 12 minutes: 15 before its end are at once.
    run = FleetRun(tmp_path, spec(sandbox, "leased", site, group, lease_extend_before_s=900))
    runs.append(run)
    run.settled(240)
    worker = run.workers()[0]
    server = run.loop.reconciler.runners["Sandbox:here"].driver.get(worker.server_id)
    assert server is not None
    assert server.status is ServerStatus.ACTIVE
    assert sandbox.admin.compute.get_server(worker.server_id).compute_host in LEASED_HOSTS
    run.until(lambda _report: bool(run.events("lease")))
    extended = run.workers()[0].lease_end
    assert extended is not None
    # Twelve minutes of lease, and twice the fifteen before its end.
    assert (extended - worker.requested_at).total_seconds() >= 12 * 60 + 25 * 60
    log = run.submit(2, 1)
    run.until(lambda _report: ended_jobs(log) == 2)
    run.end()
    # Blazar ends leases in its own time.
    leases = fleet.blazar(sandbox.admin).lease
    wait_for(lambda: not [lease for lease in leases.list() if worker.name in lease["name"]])
