"""The personal pool with real HTCondor daemons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dynamo.errors import MissingPartError
from dynamo.pool.control import down, up
from dynamo.pool.environment import pool_environment, use_pool
from dynamo.pool.processes import wait_gone
from dynamo.pool.record import PoolRecord, read_record
from dynamo.pool.report import pool_status
from tests.waiting import wait_for

pytestmark = pytest.mark.condor


def ended(log: Path) -> bool:
    return log.exists() and "Job terminated." in log.read_text()


def submit(folder: Path, code: str, **settings: str) -> int:
    """Submit a job that runs ``code`` with the Python of the tests; return its cluster."""
    import htcondor2

    script = folder / "job.py"
    script.write_text(code)
    job = {
        "executable": sys.executable,
        "arguments": str(script),
        "initialdir": str(folder),
        "output": "job.out",
        "error": "job.err",
        "log": str(folder / "job.log"),
        "should_transfer_files": "NO",
        **settings,
    }
    return int(htcondor2.Schedd().submit(htcondor2.Submit(job)).cluster())


@pytest.fixture
def other_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PoolRecord]:
    """A pool of one's own to kill, in a folder whose name is not plain."""
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    state = tmp_path / "a pool, näme #1 'x'"
    record, started = up(slots=1, state=state)
    assert started
    try:
        yield record
    finally:
        down(state)


def test_job_runs_in_the_hosts_files_with_our_python(condor_pool: PoolRecord, tmp_path: Path) -> None:
    assert use_pool() == Path(condor_pool.config)
    submit(
        tmp_path,
        "import json, pathlib, sys, numpy\n"
        "pathlib.Path('made.json').write_text(json.dumps([sys.prefix, numpy.__version__]))\n",
    )
    wait_for(lambda: ended(tmp_path / "job.log"))
    assert (tmp_path / "job.err").read_text() == ""
    made = tmp_path / "made.json"
    import numpy

    assert json.loads(made.read_text()) == [sys.prefix, numpy.__version__]
    assert made.stat().st_uid == os.geteuid()


def test_reading_the_event_log(condor_pool: PoolRecord, tmp_path: Path) -> None:
    use_pool()
    import htcondor2

    cluster = submit(tmp_path, "raise SystemExit(3)")
    wait_for(lambda: ended(tmp_path / "job.log"))
    with htcondor2.JobEventLog(str(tmp_path / "job.log")) as log:
        events = list(log.events(stop_after=0))
    assert [event.cluster for event in events] == [cluster] * len(events)
    assert events[-1].type == htcondor2.JobEventType.JOB_TERMINATED
    assert events[-1]["ReturnValue"] == 3


def test_tools_find_the_pool(condor_pool: PoolRecord) -> None:
    done = subprocess.run(["condor_q", "-totals"], env=pool_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "0 jobs" in done.stdout


def test_listens_on_loopback_only(condor_pool: PoolRecord) -> None:
    ours = {process.pid for process in condor_pool.processes()}
    sockets = set()
    for pid in ours:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    addresses = set()
    for table in ("tcp", "udp", "tcp6", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in sockets:
                addresses.add(fields[1].split(":")[0])
    assert addresses == {"0100007F"}


def test_dag_of_three_nodes(condor_pool: PoolRecord, tmp_path: Path) -> None:
    use_pool()
    import htcondor2

    (tmp_path / "node.sub").write_text(
        "executable = /bin/sh\n"
        "arguments = \"-c 'cat $(before) >$(node).txt; echo $(node) >>$(node).txt'\"\n"
        f"initialdir = {tmp_path}\nlog = {tmp_path}/nodes.log\nerror = $(node).err\n"
        "should_transfer_files = NO\nqueue\n"
    )
    (tmp_path / "three.dag").write_text(
        'JOB A node.sub\nVARS A node="A" before="/dev/null"\n'
        'JOB B node.sub\nVARS B node="B" before="A.txt"\n'
        'JOB C node.sub\nVARS C node="C" before="B.txt"\n'
        "PARENT A CHILD B\nPARENT B CHILD C\n"
    )
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        dag = htcondor2.Submit.from_dag("three.dag", {"force": True})
        htcondor2.Schedd().submit(dag)
    finally:
        os.chdir(here)
    wait_for((tmp_path / "three.dag.metrics").exists)
    assert (tmp_path / "C.txt").read_text() == "A\nB\nC\n"


def test_jobs_follow_each_other_without_negotiation(condor_pool: PoolRecord, tmp_path: Path) -> None:
    use_pool()
    import htcondor2

    took = []
    for number in range(5):
        log = tmp_path / f"{number}.log"
        job = {"executable": "/bin/true", "log": str(log), "should_transfer_files": "NO", "initialdir": str(tmp_path)}
        start = time.monotonic()
        htcondor2.Schedd().submit(htcondor2.Submit(job))
        wait_for(partial(ended, log))
        took.append(time.monotonic() - start)
    # A negotiation costs a second; one of the five may meet one.
    assert sorted(took)[2] < 0.9, took


def test_up_twice_and_status(condor_pool: PoolRecord) -> None:
    again, started = up(state=Path(condor_pool.state), slots=7)
    assert again == condor_pool
    assert not started
    found = pool_status(Path(condor_pool.state))
    assert found["state"] == "up"
    assert {"condor_master", "condor_schedd", "condor_startd"} <= {one["name"] for one in found["daemons"]}
    assert found["slots"][0]["free"]


def test_status_shows_a_running_job(condor_pool: PoolRecord, tmp_path: Path) -> None:
    use_pool()
    import htcondor2

    cluster = submit(tmp_path, "import time; time.sleep(60)")

    def running() -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = pool_status()["jobs"]
        return [job for job in jobs if job["id"] == f"{cluster}.0" and job["state"] == "running"]

    [job] = wait_for(running)
    assert job["command"] == sys.executable
    htcondor2.Schedd().act(htcondor2.JobAction.Remove, f"ClusterId == {cluster}")


def test_down_ends_daemons_and_jobs(other_pool: PoolRecord, tmp_path: Path) -> None:
    # Another process: the bindings of this one may be bound to the session's pool.
    code = (
        "from dynamo.pool.environment import use_pool; use_pool()\n"
        "import htcondor2, sys\n"
        "job = {'executable': '/bin/sh', 'arguments': \"\\\"-c 'setsid sleep 987 & sleep 987'\\\"\",\n"
        "       'log': sys.argv[1] + '/s.log', 'should_transfer_files': 'NO', 'initialdir': sys.argv[1]}\n"
        "htcondor2.Schedd().submit(htcondor2.Submit(job))\n"
    )
    environment = {**os.environ, "CONDOR_CONFIG": other_pool.config}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], env=environment, check=True)
    wait_for(lambda: (tmp_path / "s.log").exists() and "Job executing" in (tmp_path / "s.log").read_text())
    before = wait_for(lambda: len(other_pool.processes()) >= 9 and other_pool.processes())
    state = Path(other_pool.state)
    assert down(state) == other_pool
    assert wait_gone(before, 0.0) == []
    assert other_pool.processes() == []
    assert pool_status(state)["state"] == "down"
    assert down(state) is None


def test_killed_pool_is_recognised_and_cleaned(other_pool: PoolRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    state = Path(other_pool.state)
    other_pool.master.send(signal.SIGKILL)
    wait_gone([other_pool.master], 5.0)
    assert pool_status(state)["state"] == "dead"
    monkeypatch.setenv("DYNAMO_POOL_DIR", str(state))
    with pytest.raises(MissingPartError, match="dynamo pool up"):
        pool_environment()
    record, started = up(slots=1, state=state)
    assert started
    assert record.id != other_pool.id
    assert other_pool.processes() == []
    assert read_record(state) == record


def test_command_line(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "CONDOR_CONFIG"}
    environment["DYNAMO_POOL_DIR"] = str(tmp_path / "pool")

    def dynamo(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import typer, dynamo.cli.main as m, dynamo.cli.pool as p; a = typer.Typer(); p.register(a); m.run(a)"
        return subprocess.run(
            [sys.executable, "-c", code, "pool", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert dynamo("install").returncode == 0
    down_at_first = dynamo("status", "--json")
    assert (down_at_first.returncode, json.loads(down_at_first.stdout)["state"]) == (5, "down")
    try:
        first = dynamo("up", "--slots", "3", "--json")
        assert first.returncode == 0, first.stderr
        assert json.loads(first.stdout)["new"] is True
        assert "already up" in dynamo("up").stdout
        assert json.loads(dynamo("status", "--json").stdout)["capacity"] == 3
    finally:
        assert dynamo("down").stdout.strip() == "the pool is down"
    assert dynamo("down").stdout.strip() == "no pool was up"
