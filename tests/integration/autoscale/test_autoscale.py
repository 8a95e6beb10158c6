"""Scaling as people start it: commands on a simulated fleet, the dispatcher in overload, real workers from none."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dynamo.autoscale.decisions import read_state, stored_decisions
from dynamo.autoscale.loop import Autoscaler
from dynamo.autoscale.model import Work
from dynamo.autoscale.overload import Guard, Overload, store_overload
from dynamo.autoscale.policies.registry import make_policy
from dynamo.config.file import Config, parse_config
from dynamo.pool.install.installation import install
from dynamo.provision.fleets import apply_fleet, set_fleet_state
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.keeping.opening import fleet_folder
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.status import fleet_status
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Worker
from dynamo.store.models import Run, RunDecision
from dynamo.times import utc_now
from dynamo.watch.watcher import Watcher
from tests.integration.watch.watch_support import write_small
from tests.waiting import wait_for

SITE = "Simulated:here"
SPEC: Mapping[str, Any] = {
    "name": "storm",
    "sites": {SITE: {"driver": "simulated", "options": {"boot": 0.2, "join": 0.1, "delete": 0.1}}},
    "compute": [{"name": "worker", "site": SITE, "count": 1, "min": 0, "max": 4, "workerCpus": 1}],
    "policy": {"cycle_s": 0.2, "collector_grace_s": 0},
}
CONFIG = """
[folders]
state = "state"

[autoscale]
enabled = true
every_s = 0.5
sources = ["runs"]
policy = "static"
options = { workers = { worker = 3 } }
"""


class Commands:
    """`dynamo` and `dynamo-provision` in a folder with a configuration."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dynamo.toml").write_text(CONFIG)
        (root / "storm.json").write_text(json.dumps(SPEC))
        kept = {k: v for k, v in os.environ.items() if k not in ("CONDOR_CONFIG", "DYNAMO_POOL_DIR")}
        self.environment = {**kept, "DYNAMO_CONFIG": str(root / "dynamo.toml")}

    def words(self, *words: str) -> list[str]:
        if words[0] == "dynamo":
            return [sys.executable, "-m", *words]
        return [sys.executable, "-c", "from dynamo.cli.fleet.main import main; main()", *words[1:]]

    def __call__(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            self.words(*words),
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with (self.root / "daemon.log").open("wb") as log:
            return subprocess.Popen(self.words(*words), cwd=self.root, env=self.environment, stdout=log, stderr=log)


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


def test_the_daemon_scales_and_a_person_wins(commands: Commands, tmp_path: Path) -> None:
    commands("provision", "apply", "storm.json", "--no-wait")
    dry = json.loads(commands("dynamo", "autoscale", "--dry-run", "--once", "--json"))
    assert dry["now_wanted"] == {"worker": 1}
    assert dry["wanted"] == {"worker": 3}
    assert not dry["applied"]
    assert "would be" in commands("dynamo", "autoscale", "--dry-run", "--once")
    assert json.loads(commands("dynamo", "autoscale", "decisions", "--json")) == []
    daemon = commands.start("provision", "daemon", "--metrics", "127.0.0.1:0")
    store = open_store(tmp_path / "state" / "store.sqlite")
    try:

        def workers(count: int) -> bool:
            groups = fleet_status(store, "storm").groups
            return groups[0].states == ({"ready": count} if count else {})

        wait_for(lambda: workers(3), 40, "3 workers")
        (decision,) = json.loads(commands("dynamo", "autoscale", "decisions", "--json"))
        # As many more as are there or coming at the time.
        assert re.match(rf"\+[23] at {SITE}: fixed at 3", decision["reason"])
        assert decision["inputs"]["groups"]
        # It is being scaled already.
        commands("dynamo", "autoscale", "--once", code=7)
        log = (tmp_path / "daemon.log").read_text()
        url = log.partition("address=")[2].split()[0]
        with urllib.request.urlopen(url, timeout=300) as answer:
            text = answer.read().decode()
        assert 'dynamo_workers{fleet="storm",group="worker",site="Simulated:here",state="ready"} 3.0' in text
        commands("provision", "scale", "worker", "1", "--no-wait")
        wait_for(lambda: workers(1), 40, "the person's one worker")
        assert json.loads(commands("provision", "hold", "all", "--json"))["held"] == {"worker": 1}
        time.sleep(1.5)
        assert workers(1)
        released = json.loads(commands("provision", "release", SITE, "--json"))
        assert released == {"fleet": "storm", "released": {"worker": 1}, "autoscaled": True}
        wait_for(lambda: workers(3), 40, "3 workers again")
        commands("provision", "hold", "nobody", code=4)
    finally:
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(300)
        store.close()
    assert code == 0, (tmp_path / "daemon.log").read_text()


def test_a_bad_policy_is_refused_at_the_start(commands: Commands) -> None:
    commands("provision", "apply", "storm.json", "--no-wait")
    text = CONFIG.replace("workers = {", "wrokers = {")
    (commands.root / "dynamo.toml").write_text(text)
    commands("dynamo", "autoscale", "--once", code=3)
    commands("provision", "daemon", code=3)
    (commands.root / "dynamo.toml").write_text(CONFIG.replace('"static"', '"statik"'))
    commands("dynamo", "autoscale", "--once", code=3)


# ---- overload in the daemon that runs workflows --------------------------------------------------------------------


def _config(root: Path) -> Config:
    for feed in ("alerts", "extras"):
        (root / feed).mkdir()
    trigger = {"workflow": "nowcast", "parameters": {"levels": [45.0]}, "deadline_s": 600.0}
    return parse_config(
        {
            "folders": {"state": "state", "products": "products"},
            "runs": {"max_runs": 2, "fsync": False},
            "feeds": [{"name": name, "path": name} for name in ("alerts", "extras")],
            "triggers": [
                {"name": "alerts", "feed": "alerts", "shed": "never", "priority": -5, **trigger},
                {"name": "extras", "feed": "extras", "shed": "skip", "priority": 0, **trigger},
            ],
        },
        base=root,
    )


def test_in_overload_the_lower_priority_is_skipped_with_its_reason_and_alerts_run(tmp_path: Path) -> None:
    config = _config(tmp_path)
    with Watcher(config, shedding=lambda store: Guard(store, config)) as watcher:
        store = watcher.service.store
        with store.transaction() as session:
            found = Overload(900.0, 10, "worker has its 4 workers")
            store_overload(session, found, utc_now(), 300.0)
        for minute in range(3):
            write_small(tmp_path / "extras", minute)
            write_small(tmp_path / "alerts", minute, peak_dbz=58.0)
        wait_for(lambda: _states(store).count("succeeded") + _states(store).count("skipped") == 6, 60, "all decided")
        with store.reading() as session:
            runs = session.scalars(select(Run)).all()
            skips = session.scalars(select(RunDecision).where(RunDecision.action == "skip")).all()
        assert {run.trigger: run.state for run in runs} == {"alerts": "succeeded", "extras": "skipped"}
        # Their jobs go before any that somebody may have declared more urgent.
        alerts = [watcher.service.folder(run).read_plan() for run in runs if run.trigger == "alerts"]
        assert [plan.priority for plan in alerts] == [1996] * 3
        assert {run.priority for run in runs if run.trigger == "alerts"} == {-5}
        assert len(skips) == 3
        assert all("overload: 900 core-s over capacity" in skip.reason and skip.data["cut"] == 10 for skip in skips)
        with store.transaction() as session:
            store_overload(session, None, utc_now(), 300.0)
        time.sleep(2.1)
        write_small(tmp_path / "extras", 10)
        wait_for(lambda: _states(store).count("succeeded") == 4, 60, "work after the overload")


def _states(store: Store) -> list[str]:
    with store.reading() as session:
        return list(session.scalars(select(Run.state)))


# ---- real workers --------------------------------------------------------------------------------------------------


class _Wave:
    """Work that is there until a moment."""

    name = "runs"

    def __init__(self) -> None:
        self.amount: tuple[Work, ...] = ()

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:  # noqa: ARG002 - the interface
        # What waits is due in the same time, however long it has waited.
        return [replace(item, ready_at=now, due_at=now + timedelta(seconds=30)) for item in self.amount]


@pytest.fixture
def local_fleet(tmp_path: Path) -> Iterator[Store]:
    install(None, lambda _stage, _done, _total: None)
    spec = load_spec(
        {
            "name": "local",
            "sites": {"Local:here": {"boot_timeout_s": 60}},
            "compute": [{"name": "worker", "site": "Local:here", "count": 0, "min": 0, "max": 2, "workerCpus": 1}],
            "policy": {"cycle_s": 1, "join_timeout_s": 60, "missing_s": 60, "collector_grace_s": 1},
        }
    )
    store = open_store(tmp_path / "store.sqlite")
    with store.transaction() as session:
        apply_fleet(session, spec, base=fleet_folder(tmp_path, "local"), now=utc_now())
    yield store
    with store.transaction() as session:
        set_fleet_state(session, "local", "ending-now", utc_now())
    with FleetLoop(store, "local") as loop:
        loop.run_until(lambda report: report.ended, timeout_s=60)
    store.close()


@pytest.mark.condor
def test_real_workers_come_from_none_and_go_again(local_fleet: Store) -> None:
    config = parse_config({"autoscale": {"every_s": 0.5}}, base=Path())
    # Without memory of surprises: the wave is one.
    policy = make_policy(
        "predictive", {"settle_s": 3.0, "lead_s": 2.0, "overhead_s": 0.0, "bin_s": 1.0, "surprise_s": 0.0}
    )
    wave = _Wave()
    scaler = Autoscaler(local_fleet, "local", policy, [wave], config.autoscale)
    stop = threading.Event()
    thread = threading.Thread(target=scaler.run, args=(stop,), daemon=True)
    with FleetLoop(local_fleet, "local") as loop:
        loop.run_until(lambda report: report.settled, timeout_s=60)
        thread.start()
        try:
            now = utc_now()
            wave.amount = (Work("runs", "storms", now, now, 120.0, 150.0, cores=16),)
            loop.run_until(lambda report: report.counts.get("worker", {}).get("ready", 0) == 2, timeout_s=60)
            wave.amount = ()
            report = loop.run_until(
                lambda report: not any(report.counts.get("worker", {}).values()) and report.settled, timeout_s=90
            )
        finally:
            stop.set()
            thread.join(300)
    assert report.settled
    assert report.target == {"worker": 0}
    with local_fleet.reading() as session:
        workers = session.scalars(select(Worker)).all()
        decisions = stored_decisions(session, "local")
        state = read_state(session, "local")
    assert [worker.state for worker in workers] == ["released", "released"]
    assert sum(worker.jobs_killed for worker in workers) == 0
    assert decisions[0].reason.startswith("+")
    assert decisions[-1].reason.startswith("-")
    assert state is not None
    assert state.wanted == {"worker": 0}
