"""`dynamo-provision` as people run it: real workers on this machine, in a real pool."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from dynamo.errors import NotFoundError
from dynamo.pool.install.installation import install
from dynamo.pool.processes import with_environment
from dynamo.pool.record import MARK, read_record
from dynamo.provision.keeping.opening import open_sites
from dynamo.provision.keeping.presence import daemon_for
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.status import FleetStatus, fleet_status
from dynamo.store.engine import open_store
from tests.waiting import wait_for

pytestmark = pytest.mark.condor
SPECS = Path(__file__).parents[3] / "mobius_specs"


class Cli:
    """The command with a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "dynamo.toml").write_text('[folders]\nstate = "state"\n')
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in ("CONDOR_CONFIG", "DYNAMO_POOL_DIR")},
            "DYNAMO_CONFIG": str(folder / "dynamo.toml"),
        }
        self.spec = folder / "local.json"
        shutil.copy(SPECS / "local.json", self.spec)
        self.started: list[subprocess.Popen[str]] = []

    def run(self, *words: str, code: int = 0, text: str = "") -> subprocess.CompletedProcess[str]:
        began = time.monotonic()
        done = subprocess.run(
            self.command(*words),
            env=self.environment,
            cwd=self.folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        sys.stdout.write(f"{time.monotonic() - began:5.1f} s  {' '.join(words)[-90:]}\n")
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            # Whoever starts the tests in the background makes all that they start deaf to Ctrl-C.
            ["env", "--default-signal=INT", *self.command(*words)],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def status(self) -> FleetStatus:
        """Return what the store says, without the time that a command takes to start."""
        store = open_store(self.folder / "state" / "store.sqlite")
        try:
            return fleet_status(store, "local")
        finally:
            store.close()

    def states(self) -> dict[str, str]:
        """Return the living workers and their states."""
        return {item.name: item.state for item in self.status().workers if item.state not in ("released", "lost")}

    def servers(self) -> list[str]:
        """Return the workers that have a server, as the site says."""
        status, spec = self.status(), load_spec(self.spec)
        [site] = open_sites(spec, self.folder / "state" / "fleets" / "local").values()
        try:
            return sorted(server.name for server in site.list(status.id))
        finally:
            site.close()

    def daemon(self) -> bool:
        """Tell whether a daemon takes fleets."""
        store = open_store(self.folder / "state" / "store.sqlite")
        try:
            return daemon_for(store, "local")
        finally:
            store.close()

    def startds(self) -> set[str]:
        """Return the workers that HTCondor's collector shows."""
        record = read_record(self.folder / "state" / "fleets" / "local" / "pool")
        assert record is not None
        done = subprocess.run(
            [f"{record.bin}/condor_status", "-af", "DynamoWorker"],
            env={**self.environment, "CONDOR_CONFIG": record.config},
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        return set(done.stdout.split())

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-c", "from dynamo.cli.fleet.main import main; main()", *words]

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=300)
        for fleet in ("local", "other"):
            subprocess.run(
                self.command("destroy", "--yes", "--now", "--fleet", fleet),
                env=self.environment,
                cwd=self.folder,
                capture_output=True,
                timeout=300,
                check=False,
            )


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    install(None, lambda _stage, _done, _total: None)
    made = Cli(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_a_fleet_from_nothing_to_nothing(cli: Cli) -> None:
    plan = cli.json("plan", str(cli.spec))
    assert (plan["create"], plan["remove"], plan["problems"]) == (2, 0, [])
    assert not (cli.folder / "state" / "fleets" / "local" / "pool").exists()

    applied = cli.run("apply", str(cli.spec))
    assert "local: 2 workers ready" in applied.stdout
    assert "run `dynamo-provision daemon`" in applied.stderr
    sys.stdout.write(applied.stdout)
    environment = re.search(r"export DYNAMO_POOL_DIR=(\S+)", applied.stderr)
    assert environment is not None
    status = cli.json("status")
    assert status["settled"] is True
    assert status["looked_after_by"] is None
    assert set(cli.states().values()) == {"ready"}
    assert cli.startds() == set(cli.states())
    assert "nothing to do" in cli.run("reconcile").stdout
    assert "2 ready" in cli.run("status").stdout
    assert cli.servers() == sorted(cli.states())

    # The pool takes jobs for those that were told where it is.
    job = cli.folder / "job.sub"
    job.write_text("executable = /bin/echo\narguments = 7\nlog = job.log\noutput = out\nqueue 1\n")
    code = (
        "import subprocess; from dynamo.pool.environment import pool_environment as e; "
        "subprocess.run(['condor_submit', 'job.sub'], env=e(), check=True); "
        "subprocess.run(['condor_wait', '-wait', '60', 'job.log'], env=e(), check=True)"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        env={**cli.environment, "DYNAMO_POOL_DIR": environment[1]},
        cwd=cli.folder,
        check=True,
        capture_output=True,
        timeout=300,
    )
    assert (cli.folder / "out").read_text() == "7\n"

    assert cli.json("scale", "Local:here", "3")["wanted"] == 3
    assert list(cli.states().values()) == ["ready"] * 3
    first = min(cli.states())
    gone = cli.json("drain", first, "--deadline", "30s")
    assert (gone["workers"], gone["site"]) == ({first: "draining"}, False)
    assert first not in cli.states()
    assert list(cli.states().values()) == ["ready"] * 3

    about = [event["action"] for event in cli.json("events", "--about", first)]
    assert about[-3:] == ["draining", "releasing", "released"]
    report = cli.json("cost", "--by", "worker")
    assert {row["key"] for row in report["rows"]} == {first, *cli.states()}
    assert report["total"]["worker_hours"] > 0

    # Applying again undoes what was scaled by hand.
    assert cli.json("apply", str(cli.spec))["status"]["settled"] is True
    assert len(cli.states()) == 2
    assert "nothing changed" in cli.run("destroy", text="n\n", code=130).stderr
    assert "0 jobs killed" in cli.run("destroy", "--yes").stdout
    assert "no fleet found" in cli.run("status", code=4).stderr
    assert cli.status().state == "ended"
    assert cli.servers() == []
    record = cli.folder / "state" / "fleets" / "local" / "pool" / "pool.json"
    assert not record.exists()


def started(cli: Cli) -> bool:
    """Tell whether the fleet has workers; at first it is not there at all."""
    try:
        return bool(cli.states())
    except NotFoundError:
        return False


def test_a_killed_apply_is_gone_on_with(cli: Cli) -> None:
    first = cli.start("apply", str(cli.spec))
    wait_for(lambda: started(cli), 20)
    first.send_signal(signal.SIGKILL)
    first.wait(300)
    cli.run("apply", str(cli.spec))
    assert list(cli.states().values()) == ["ready"] * 2
    assert cli.startds() == set(cli.states())
    assert cli.servers() == sorted(cli.states())


def test_what_cannot_be_had_in_time_is_told(cli: Cli) -> None:
    spec = json.loads(cli.spec.read_text())
    spec["sites"]["Local:here"]["options"] = {"servers": 1}
    cli.spec.write_text(json.dumps(spec))
    plan = cli.json("plan", str(cli.spec), code=8)
    assert plan["problems"] == ["worker: the quota has room for 1 of 2"]

    def told() -> str | Literal[False]:
        last = cli.run("apply", str(cli.spec), "--timeout", "4", code=9).stderr.splitlines()[-1]
        # A slow machine needs longer for the first one; the next command goes on with it.
        return last if "1 of 2 ready" in last else False

    assert "quota" in wait_for(told, 30)

    # Ctrl-C leaves what is there, and says how to go on.
    waiting = cli.start("apply", str(cli.spec))
    wait_for(lambda: cli.status().looked_after_by, 20)
    waiting.send_signal(signal.SIGINT)
    _, said = waiting.communicate(timeout=300)
    assert waiting.returncode == 130, said
    assert "continue with `dynamo-provision apply`" in said.lower()
    assert list(cli.states().values()) == ["ready"]


def test_apply_installs_htcondor_if_there_is_none(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.environment["DYNAMO_HTCONDOR_PREFIX"] = str(tmp_path / "htcondor")
    try:
        told = cli.run("apply", str(cli.spec)).stderr
        assert f"HTCondor is not installed: installing it in {tmp_path / 'htcondor'}" in told
        assert list(cli.states().values()) == ["ready"] * 2
    finally:
        cli.close()


def test_a_fleet_whose_cloud_is_gone_ends_by_force(cli: Cli) -> None:
    (cli.folder / "clouds.yaml").write_text("clouds: {other: {auth: {auth_url: 'http://127.0.0.1:1/v3'}}}\n")
    site = {"driver": "openstack", "options": {"cloud": "gone", "config_file": str(cli.folder / "clouds.yaml")}}
    group = {"name": "local", "site": "Gone:A", "count": 1, "flavor": "m1", "image": "x", "network": "y"}
    cli.spec.write_text(json.dumps({"name": "local", "sites": {"Gone:A": site}, "compute": [group]}))
    for command in (("apply", str(cli.spec)), ("destroy", "--yes", "--now")):
        told = cli.run(*command, code=8).stderr
        assert "Cloud gone was not found" in told
        assert ("destroy --forget" in told) == (command[0] == "destroy")
        # The same error holds back the list and the group; it is told once.
        assert cli.run("status").stdout.replace("\n", " ").count("Cloud gone was not found") == 1
    pool = cli.folder / "state" / "fleets" / "local" / "pool" / "pool.json"
    assert pool.exists()
    ended = cli.json("destroy", "--yes", "--forget")
    assert ended["state"] == "ended"
    (forgotten,) = ended["forgotten"]
    assert (forgotten["site"], forgotten["servers"]) == ("Gone:A", {})
    assert "Cloud gone was not found" in forgotten["why"]
    assert not pool.exists()
    # The name is free, also for a spec of other sites.
    shutil.copy(SPECS / "local.json", cli.spec)
    assert cli.json("apply", "--no-wait", str(cli.spec))["changed"] is True


def test_the_daemon_looks_after_fleets(cli: Cli) -> None:
    daemon = cli.start("daemon", "--json")
    wait_for(lambda: (cli.folder / "state" / "store.sqlite").exists() and cli.daemon(), 30)
    # It is applied by the daemon; the command only watches.
    applied = cli.json("apply", str(cli.spec))
    assert applied["status"]["looked_after_by"].startswith(f"{daemon.pid} on ")
    before = cli.states()
    assert list(before.values()) == ["ready"] * 2
    assert "manages the fleet" in cli.run("reconcile", code=7).stderr
    assert "another daemon" in cli.run("daemon", code=7).stderr

    began = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    _, log = daemon.communicate(timeout=300)
    assert daemon.returncode == 0, log
    sys.stdout.write(f"the daemon ended in {time.monotonic() - began:.1f} s\n")
    lines = [json.loads(line) for line in log.splitlines()]
    assert {"managing fleet", "ready", "no longer managing fleet"} <= {line["msg"] for line in lines}
    record = read_record(cli.folder / "state" / "fleets" / "local" / "pool")
    assert record is not None
    assert record.running()
    assert cli.startds() == set(before)

    again = cli.start("daemon")
    wait_for(lambda: cli.status().looked_after_by, 20)
    assert cli.json("scale", "worker", "1")["status"]["settled"] is True
    assert set(cli.states()) < set(before)
    assert cli.json("destroy", "--yes")["state"] == "ended"
    assert not with_environment(f"{MARK}={record.id}")
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=300)
    assert again.returncode == 0
