"""Jobs in a pool without workers bring servers into being, and their end brings the servers' end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.autoscale.decisions import stored_decisions
from dynamo.autoscale.demand.registry import Parts, make_sources
from dynamo.autoscale.loop import Autoscaler
from dynamo.autoscale.policies.registry import make_policy
from dynamo.config.file import parse_config
from dynamo.provision.keeping.opening import fleet_folder
from tests.integration.provision.fleet_run import EVICTED, FleetRun, ended_jobs
from tests.openstack.sandbox import Sandbox
from tests.openstack_live.test_fleet_boots import spec

JOBS = 12


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> Iterator[FleetRun]:
    site = {"driver": "openstack", "cloud": "tacc", "region": "KVM@TACC"}
    started = FleetRun(tmp_path, spec(sandbox, "scaled", site, {"count": 0, "max": 3, "flavour": "m1.small"}))
    yield started
    started.close()


def test_from_no_server_to_three_and_back(run: FleetRun, tmp_path: Path) -> None:
    run.settled()
    assert run.workers() == []
    config = parse_config({"autoscale": {"every_s": 1.0}}, base=tmp_path)
    pool = fleet_folder(tmp_path, run.name) / "pool"
    policy = make_policy("reactive", {"idle_s": 5.0, "pause_s": 5.0})
    scaler = Autoscaler(
        run.store, run.name, policy, make_sources(Parts(config, run.store, pool), ["queue"]), config.autoscale
    )
    log = run.submit(JOBS, 3)
    stop = threading.Event()
    thread = threading.Thread(target=scaler.run, args=(stop,), daemon=True)
    thread.start()
    try:
        run.until(lambda _report: ended_jobs(log) == JOBS)
        run.until(lambda report: report.settled and not report.counts)
    finally:
        stop.set()
        thread.join(20)
    assert EVICTED not in log.read_text()
    workers = run.workers()
    assert len(workers) >= 2
    assert {worker.state for worker in workers} == {"released"}
    assert sum(worker.jobs_killed for worker in workers) == 0
    with run.store.reading() as session:
        decisions = stored_decisions(session, run.name)
    assert decisions[0].reason.startswith("+")
    assert decisions[-1].reason.startswith("-")
