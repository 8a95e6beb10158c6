"""Workers join, drain and leave a real HTCondor pool."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from dynamo.errors import NotFoundError, UsageError
from dynamo.pool.control import up
from dynamo.pool.environment import use_pool
from dynamo.pool.manager import worker_identity
from dynamo.pool.processes import with_environment
from dynamo.provision.condor.admission import Request, read_requests
from dynamo.provision.condor.settings import WorkerSettings
from dynamo.provision.condor.tokens import boot_identity
from dynamo.provision.pool_link import FinishedJob, PoolSilentError
from dynamo.provision.sites.base import Flavor, ServerStatus
from dynamo.provision.sites.local.servers import MARK
from dynamo.times import utc_now
from tests.integration.provision.fleet_support import FLEET, SMALL, Fleet, count
from tests.waiting import wait_for

pytestmark = pytest.mark.condor


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One pool with the worker `first`; its workers do not end by themselves."""
    base = tmp_path_factory.mktemp("fleet")
    made = Fleet(base, WorkerSettings(update_s=5))
    try:
        made.add("first")
        made.ready("first")
        yield made
    finally:
        made.close()


def allowed(fleet: Fleet, worker: str, level: str, daemon: str = "collector") -> bool:
    words = ["-type", daemon, "-table", level]
    if daemon == "schedd":
        address = fleet.run("condor_status", "-schedd", "-af", "MyAddress").stdout.strip()
        words = ["-addr", address, "-table", level]
    done = fleet.as_worker(worker, "condor_ping", *words)
    return re.search(rf"^\s*{level}\s.*ALLOW", done.stdout, re.MULTILINE) is not None


def test_a_worker_may_show_itself_and_look(fleet: Fleet) -> None:
    for level in ("ADVERTISE_STARTD", "ADVERTISE_MASTER", "READ"):
        assert allowed(fleet, "first", level), level


@pytest.mark.parametrize("daemon", ["collector", "schedd"])
@pytest.mark.parametrize("level", ["WRITE", "DAEMON", "ADMINISTRATOR", "NEGOTIATOR", "ADVERTISE_SCHEDD"])
def test_a_worker_may_do_nothing_else(fleet: Fleet, level: str, daemon: str) -> None:
    assert not allowed(fleet, "first", level, daemon)


def test_a_worker_does_not_read_the_queue(fleet: Fleet) -> None:
    """Jobs that are not its own carry environments and arguments."""
    assert not allowed(fleet, "first", "READ", "schedd")
    name = fleet.run("condor_status", "-schedd", "-af", "Name").stdout.strip()
    for program in ("condor_q", "condor_history"):
        done = fleet.as_worker("first", program, "-name", name)
        assert done.returncode != 0, (program, done.stdout)


def test_a_worker_submits_no_job(fleet: Fleet) -> None:
    name = fleet.run("condor_status", "-schedd", "-af", "Name").stdout.strip()
    job = fleet.folder("first") / "job.sub"
    job.write_text("executable = /bin/true\nqueue\n")
    done = fleet.as_worker("first", "condor_submit", "-name", name, str(job))
    assert done.returncode != 0
    assert fleet.run("condor_q", "-allusers", "-af", "ClusterId").stdout.split() == []


@pytest.mark.parametrize(
    ("command", "ad"),
    [
        ("UPDATE_SCHEDD_AD", 'MyType = "Scheduler"\nName = "false"\nMyAddress = "<127.0.0.1:1>"\n'),
        (
            "UPDATE_STARTD_AD",
            'MyType = "Machine"\nName = "slot1@false"\nDynamoWorker = "false"\nMyAddress = "<127.0.0.1:1>"\n',
        ),
        (
            "UPDATE_STARTD_AD",
            'MyType = "Machine"\nName = "slot1@false.worker.dynamo.internal"\nDynamoWorker = "first"\n'
            'MyAddress = "<127.0.0.1:1>"\n',
        ),
        (
            "UPDATE_STARTD_AD",
            'MyType = "Machine"\nName = "slot1@false.worker.dynamo.internal"\nDynamoWorker = "false"\n'
            'AuthenticatedIdentity = "false@worker.dynamo.internal"\nMyAddress = "<127.0.0.1:1>"\n',
        ),
        ("UPDATE_MASTER_AD", 'MyType = "DaemonMaster"\nName = "false"\nMyAddress = "<127.0.0.1:1>"\n'),
    ],
)
def test_a_worker_speaks_for_itself_only(fleet: Fleet, command: str, ad: str) -> None:
    path = fleet.folder("first") / "false.ad"
    path.write_text(ad + 'State = "Unclaimed"\nActivity = "Idle"\nStartdIpAddr = "<127.0.0.1:1>"\n')
    fleet.as_worker("first", "condor_advertise", "-tcp", command, str(path))
    time.sleep(0.5)
    assert "false" not in fleet.run("condor_status", "-any", "-af", "Name").stdout


def test_a_worker_may_advertise_its_own_slot(fleet: Fleet) -> None:
    """The refusals above are for what the ads say, not because `condor_advertise` does not work."""
    path = fleet.folder("first") / "own.ad"
    path.write_text(
        'MyType = "Machine"\nName = "slot9@first.worker.dynamo.internal"\nDynamoWorker = "first"\n'
        'MyAddress = "<127.0.0.1:1>"\nStartdIpAddr = "<127.0.0.1:1>"\nState = "Owner"\nActivity = "Idle"\n'
    )
    fleet.as_worker("first", "condor_advertise", "-tcp", "UPDATE_STARTD_AD", str(path))
    names = wait_for(lambda: "slot9@first" in fleet.run("condor_status", "-af", "Name").stdout, 5)
    assert names
    fleet.as_worker("first", "condor_advertise", "-tcp", "INVALIDATE_STARTD_ADS", str(path))


def test_no_key_on_the_worker_and_papers_hold_no_lasting_secret(fleet: Fleet) -> None:
    home = fleet.folder("first") / "worker"
    assert list((home / "passwords.d").iterdir()) == []
    papers = fleet.link.papers("paper-only")
    assert papers.private_files == {}
    assert len(papers.user_data.encode()) < 16_384
    tokens = re.findall(r"^(ey\S+)$", papers.user_data, re.MULTILINE)
    assert len(tokens) == 1
    kept = b"".join(path.read_bytes() for path in (fleet.link.pool.parent / "workers").iterdir())
    assert tokens[0].encode() not in kept
    assert fleet.folder("first").stat().st_mode & 0o077 == 0


def test_remote_worker_joins_with_its_papers_once(fleet: Fleet, tmp_path: Path) -> None:
    stale = fleet.link.papers("remote-1").user_data
    fleet.add("remote-1", remote=True, script="echo operator here")
    assert "remote-1" not in fleet.link.admit(["other"])
    joined = wait_for(lambda: fleet.link.admit(["remote-1", "first"]), 20)
    assert list(joined) == ["remote-1"]
    fleet.ready("remote-1")
    assert "operator here" in fleet.boot_log("remote-1")
    # It has files of its own: those of a job are brought to it and back.
    (tmp_path / "given.txt").write_text("ten")
    log = fleet.submit(
        tmp_path,
        "import pathlib; pathlib.Path('made.txt').write_text(pathlib.Path('given.txt').read_text() + ' fold')",
        1,
        requirements='DynamoWorker == "remote-1"',
        arguments="job.py",
        should_transfer_files="IF_NEEDED",
        transfer_executable="False",
        transfer_input_files="job.py, given.txt",
    )
    wait_for(lambda: count(log, "Job terminated of its own accord") == 1, 20)
    assert (tmp_path / "made.txt").read_text() == "ten fold"
    # The same papers, and those from before, serve no more: one asks, nobody answers.
    again = fleet.folder("remote-1") / "user-data"
    for text in (again.read_text(), stale):
        [token] = re.findall(r"^(ey\S+)$", text, re.MULTILINE)
        ask_with(fleet, token, "remote-1")
        assert fleet.link.admit(["remote-1"]) == []


def ask_with(fleet: Fleet, token: str, worker: str, *limits: str, identity: str = "") -> None:
    folder = fleet.folder("first") / "asked"
    folder.mkdir(exist_ok=True)
    (folder / "token").write_text(token)
    (folder / "token").chmod(0o600)
    arguments = limits or ("-authz", "READ", "-lifetime", "60")

    def requests() -> int:
        return fleet.run("condor_token_request_list", "-json").stdout.count("RequestId")

    before = requests()
    with subprocess.Popen(
        [f"{fleet.record.bin}/condor_token_request", "-type", "collector", "-name",
         f"{fleet.record.address}:{fleet.record.port}", "-identity", identity or worker_identity(worker), *arguments],
        env={"CONDOR_CONFIG": str(fleet.folder("first") / "worker" / "condor_config"),
             "_CONDOR_SEC_TOKEN_DIRECTORY": str(folder), "_CONDOR_SEC_TOKEN_SYSTEM_DIRECTORY": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        # Who may not even ask is told so, and ends.
        wait_for(lambda: process.poll() is not None or requests() > before, 10, "asked or refused")
        assert requests() > before, "not asked"
        process.terminate()


def test_requests_for_more_are_not_answered(fleet: Fleet) -> None:
    def fresh() -> str:
        [token] = re.findall(r"^(ey\S+)$", fleet.link.papers("greedy").user_data, re.MULTILINE)
        return str(token)

    for limits in (
        ("-lifetime", "60"),
        ("-authz", "ADMINISTRATOR", "-lifetime", "60"),
        ("-authz", "READ", "-lifetime", "99999999"),
        ("-authz", "READ"),
    ):
        ask_with(fleet, fresh(), "greedy", *limits)
        assert fleet.link.admit(["greedy"]) == [], limits
    ask_with(fleet, fresh(), "first")
    assert fleet.link.admit(["greedy", "first"]) == []
    ask_with(
        fleet, fresh(), "greedy", "-authz", "READ", "-lifetime", "60", identity=f"{fleet.record.user}@dynamo.internal"
    )
    assert fleet.link.admit(["greedy", "first"]) == []
    ask_with(fleet, fresh(), "greedy")
    assert fleet.link.admit(["greedy"]) == ["greedy"]


def test_bootstrap_may_not_even_look(fleet: Fleet) -> None:
    [token] = re.findall(r"^(ey\S+)$", fleet.link.papers("looker").user_data, re.MULTILINE)
    folder = fleet.folder("first") / "boot-only"
    folder.mkdir()
    (folder / "token").write_text(token)
    (folder / "token").chmod(0o600)
    done = fleet.as_worker("first", "condor_status", "-af", "Name", SEC_TOKEN_DIRECTORY=str(folder),
                           SEC_TOKEN_SYSTEM_DIRECTORY=str(folder))  # fmt: skip
    assert done.stdout.strip() == ""


def test_revoked_worker_is_out_and_stays_out(fleet: Fleet) -> None:
    fleet.add("outcast", remote=False)
    fleet.ready("outcast")
    papers = fleet.link.papers("never-booted").user_data
    fleet.link.revoke(["outcast", "never-booted"])
    assert wait_for(lambda: not allowed(fleet, "outcast", "ADVERTISE_STARTD"), 5)
    assert not allowed(fleet, "outcast", "READ")
    assert allowed(fleet, "first", "READ")
    # Its startd, whose session was open, is not heard any more.
    asked = ("-constraint", 'DynamoWorker == "outcast"', "-af", "LastHeardFrom")
    before = fleet.run("condor_status", *asked).stdout
    time.sleep(6)
    assert fleet.run("condor_status", *asked).stdout in {before, ""}
    # Nor is anybody else who has the token.
    path = fleet.folder("outcast") / "own.ad"
    path.write_text(
        'MyType = "Machine"\nName = "slot9@outcast.worker.dynamo.internal"\nDynamoWorker = "outcast"\n'
        'MyAddress = "<127.0.0.1:1>"\nStartdIpAddr = "<127.0.0.1:1>"\nState = "Owner"\nActivity = "Idle"\n'
    )
    fleet.as_worker("outcast", "condor_advertise", "-tcp", "UPDATE_STARTD_AD", str(path))
    time.sleep(0.5)
    assert "slot9@outcast" not in fleet.run("condor_status", "-af", "Name").stdout
    [token] = re.findall(r"^(ey\S+)$", papers, re.MULTILINE)
    with pytest.raises(AssertionError, match="not asked"):
        ask_with(fleet, token, "never-booted")
    with pytest.raises(UsageError, match="revoked"):
        fleet.link.papers("outcast")
    [server] = [one for one in fleet.site.list(FLEET) if one.name == "outcast"]
    fleet.site.delete(server.id)
    # Others work as before.
    fleet.add("after")
    fleet.ready("after")


def test_draining_kills_no_job(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("drainee", flavor=SMALL)
    fleet.ready("drainee")
    only = 'DynamoWorker == "drainee"'
    log = fleet.submit(tmp_path, "import time; time.sleep(6)", requirements=only)
    wait_for(lambda: fleet.link.view().workers["drainee"].busy_cpus == 1, 20)
    view = fleet.link.view()
    assert view.running_cpus == 1
    assert len(view.workers["drainee"].jobs) == 1
    fleet.link.drain("drainee", deadline_s=60)
    fleet.link.drain("drainee", deadline_s=60)
    state = wait_for(lambda: (one := fleet.link.view().workers["drainee"]).draining and one, 5)
    assert not state.drained
    later = fleet.submit(tmp_path, "import time; time.sleep(6)", requirements=only)
    wait_for(lambda: fleet.link.view().workers["drainee"].drained, 20)
    assert count(log, "Job terminated of its own accord") == 1
    assert count(log, "evicted") == 0
    assert fleet.link.view().idle_cpus == 1
    assert count(later, "Job executing") == 1
    fleet.run("condor_rm", "-all")


def test_claims_that_wait_for_a_job_do_not_delay_a_drain(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("keeper")
    fleet.ready("keeper")
    log = fleet.submit(tmp_path, "pass", requirements='DynamoWorker == "keeper"', keep_claim_idle="600")
    wait_for(lambda: count(log, "Job terminated of its own accord") == 1, 20)
    asked = ("-constraint", 'DynamoWorker == "keeper" && State == "Claimed" && Activity == "Idle"', "-af", "Name")
    wait_for(lambda: "slot1_1" in fleet.run("condor_status", *asked).stdout, 10, "a kept claim")
    fleet.link.drain("keeper", deadline_s=600)
    wait_for(lambda: fleet.link.view().workers["keeper"].drained, 8)


def test_worker_that_lost_its_answer_is_answered_until_it_has_joined(fleet: Fleet) -> None:
    """The collector forgets requests and answers when it is reconfigured, as for each worker that is revoked."""
    fleet.link.papers("leaver")
    [server] = fleet.add("unlucky", remote=True)

    def asks() -> bool:
        return "unlucky" in {one.worker for one in asked_for(fleet)}

    wait_for(asks, 20)
    # It collects its answer up to 5 s later, and not before it goes on.
    processes = with_environment(f"{MARK}={server.id}")
    for process in processes:
        process.send(signal.SIGSTOP)
    try:
        assert fleet.link.admit(["unlucky"]) == ["unlucky"]
        fleet.link.revoke(["leaver"])
        wait_for(lambda: not asks(), 10, "forgotten")
    finally:
        for process in processes:
            process.send(signal.SIGCONT)
    wait_for(lambda: fleet.link.admit(["unlucky"]) == ["unlucky"], 40, "answered again")
    fleet.ready("unlucky")
    [token] = re.findall(r"^(ey\S+)$", (fleet.folder("unlucky") / "user-data").read_text(), re.MULTILINE)
    ask_with(fleet, token, "unlucky")
    assert fleet.link.admit(["unlucky"]) == []
    assert [one.worker for one in asked_for(fleet)].count("unlucky") == 1


def asked_for(fleet: Fleet) -> list[Request]:
    return read_requests(fleet.run("condor_token_request_list", "-json").stdout)


def test_deadline_of_a_drain_ends_jobs_which_start_again(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("slow")
    fleet.ready("slow")
    log = fleet.submit(tmp_path, "import time; time.sleep(300)", requirements='DynamoWorker == "slow"')
    wait_for(lambda: fleet.link.view().workers["slow"].busy_cpus == 1, 20)
    fleet.link.drain("slow", deadline_s=2)
    wait_for(lambda: fleet.link.view().workers["slow"].drained, 30)
    assert count(log, "Job was evicted") == 1
    assert fleet.link.view().idle_cpus == 1
    fleet.run("condor_rm", "-all")
    with pytest.raises(NotFoundError):
        fleet.link.drain("nobody", deadline_s=5)


def test_a_prefix_that_does_not_fit_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{fleet.record.sbin}:{os.environ['PATH']}")
    papers = fleet.link.papers("astray", remote=False, options={"cpus": 1, "condor_prefix": "/nonexistent"})
    server = fleet.site.create(fleet.request("astray", papers))
    fleet.ready("astray")
    assert "condor_prefix /nonexistent has no sbin/condor_master" in fleet.site.console(server.id)
    fleet.site.delete(server.id)


def test_jobs_may_ask_for_a_site(fleet: Fleet) -> None:
    papers = fleet.link.papers(
        "placed", remote=False, options={"cpus": 1, "memory_mb": 512, "site": "Chameleon:CHI@UC"}
    )
    server = fleet.site.create(fleet.request("placed", papers))
    fleet.ready("placed")
    shown = fleet.run("condor_status", "-af", "DynamoWorker", "DynamoSite").stdout.splitlines()
    assert "placed Chameleon:CHI@UC" in shown
    assert not [line for line in shown if not line.startswith("placed") and "Chameleon" in line]
    fleet.site.delete(server.id)


def test_finished_jobs_are_told(fleet: Fleet, tmp_path: Path) -> None:
    since = utc_now() - timedelta(seconds=2)
    where = 'DynamoWorker == "first"'
    jobs_wanted: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("good", "pass", {"+DynamoRun": '"run-1"', "batch_name": "hail 20260101"}),
        ("bad", "raise SystemExit(3)", {}),
        ("killed", "import os; os.kill(os.getpid(), 9)", {}),
        ("held", "pass", {"executable": "/nonexistent/program", "transfer_executable": "False"}),
    )
    for name, code, more in jobs_wanted:
        folder = tmp_path / name
        folder.mkdir()
        fleet.submit(folder, code, 1, requirements=where, **more)
    jobs = wait_for(lambda: len(found := fleet.link.finished(since)) >= 4 and found, 40)
    assert {job.worker for job in jobs} == {"first"}
    by_ok = [job.ok for job in jobs]
    assert by_ok.count(True) == 1
    [good] = [job for job in jobs if job.ok]
    assert (good.run, good.workflow, good.cpus) == ("run-1", "hail", 1)
    assert since <= good.ended_at <= utc_now() + timedelta(seconds=1)
    assert fleet.link.finished(utc_now() + timedelta(seconds=60)) == []
    fleet.run("condor_rm", "-all")


def test_each_attempt_is_told_with_its_own_worker_and_time(fleet: Fleet, tmp_path: Path) -> None:
    """Also those of a job that succeeds in the end: without them nobody notices a worker on which jobs fail."""
    since = utc_now() - timedelta(seconds=1)
    code = "import pathlib, time; p = pathlib.Path('tries'); n = p.stat().st_size if p.exists() else 0\n"
    code += "p.write_bytes(b'x' * (n + 1)); time.sleep(1); raise SystemExit(n < 2)"
    log = fleet.submit(tmp_path, code, 1, requirements='DynamoWorker == "first"', max_retries="4")
    cluster = re.findall(r"\((\d+)\.", wait_for(log.read_text))[0]

    def tries() -> list[FinishedJob] | Literal[False]:
        # Jobs of other tests may end meanwhile.
        jobs = [job for job in fleet.link.finished(since) if job.job == f"{int(cluster)}.0"]
        return jobs if any(job.ok for job in jobs) else False

    jobs = wait_for(tries, 40)
    assert [job.ok for job in jobs] == [False, False, True]
    assert {job.worker for job in jobs} == {"first"}
    # Together they cannot have taken longer than there was; the sum of all for each of them would.
    assert 3 <= sum(job.wall_s for job in jobs) <= (utc_now() - since).total_seconds()
    assert {job.kind for job in jobs} == {sys.executable}
    assert not any(job.stopped for job in jobs)


def test_environment_reaches_the_manager(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNAMO_POOL_DIR", str(fleet.link.pool))
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    assert use_pool() == Path(fleet.record.config)
    with pytest.raises(UsageError, match="a manager pool"):
        up(state=fleet.link.pool)


def test_silent_pool_is_said_so_soon(tmp_path: Path) -> None:
    other = Fleet(tmp_path)
    try:
        other.link.view()
        from dynamo.pool.processes import name_of

        [collector] = [one for one in other.record.processes() if name_of(one) == "condor_collecto"]
        collector.send(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(PoolSilentError):
            other.link.view()
        assert time.monotonic() - began < 120
        collector.send(signal.SIGCONT)
    finally:
        other.close()
    with pytest.raises(PoolSilentError, match="not running"):
        other.link.view()


def test_workers_survive_a_restart_of_the_manager_and_end_without_it(tmp_path: Path) -> None:
    quick = Fleet(tmp_path)
    try:
        quick.add("one")
        quick.ready("one")
        port = quick.record.port
        quick.link.stop()
        time.sleep(2)
        quick.link.ensure()
        assert quick.record.port == port
        quick.ready("one", timeout_s=20)
        assert quick.site.list(FLEET)[0].status is ServerStatus.ACTIVE
        quick.link.stop()
        wait_for(lambda: quick.site.list(FLEET)[0].status is ServerStatus.STOPPED, 40)
        assert "no answer from the pool" in quick.boot_log("one")
    finally:
        quick.close()


def test_worker_that_went_without_a_word_is_not_shown_for_long(tmp_path: Path) -> None:
    """As when its machine is switched off: the collector itself would show it for a quarter of an hour."""
    quick = Fleet(tmp_path, WorkerSettings(grace_s=60, check_s=5, update_s=1))
    try:
        (server,) = quick.add("dumb")
        quick.add("well")
        quick.ready("dumb", "well")
        for process in with_environment(f"{MARK}={server.id}"):
            process.send(signal.SIGKILL)
        wait_for(lambda: set(quick.link.view().workers) == {"well"}, quick.link.settings.fresh_s + 10)
        # It is not matched to jobs for long either.
        told = quick.run("condor_status", "-any", "-constraint", 'DynamoWorker == "well"', "-af", "ClassAdLifetime")
        assert str(quick.link.settings.fresh_s) in told.stdout.split()
    finally:
        quick.close()


def test_a_claim_without_a_job_is_freed_while_jobs_wait(tmp_path: Path) -> None:
    """As after the collector was killed while a claim was made: the job that waits cannot have the processor."""
    quick = Fleet(tmp_path, WorkerSettings(grace_s=60, check_s=5, update_s=1, idle_claim_s=3))
    try:
        quick.add("two", flavor=Flavor("worker.2cpu", 2, 1024, 1))
        quick.ready("two")
        folders = [tmp_path / name for name in ("stays", "kept", "waits")]
        for folder in folders:
            folder.mkdir()
        stays = quick.submit(folders[0], "import time; time.sleep(600)")
        wait_for(lambda: quick.link.view().workers["two"].busy_cpus == 1, 20)
        kept = quick.submit(folders[1], "pass", keep_claim_idle="900")
        wait_for(lambda: count(kept, "Job terminated of its own accord") == 1, 20)
        assert not quick.link.view().freed
        # The claim is on the part that the first job got; this one asks for the whole.
        waits = quick.submit(folders[2], "pass", requirements='SlotType == "Partitionable"')
        wait_for(lambda: list(quick.link.view().freed) == ["two"], 30, "freed")
        wait_for(lambda: count(waits, "Job terminated of its own accord") == 1, 30)
        assert count(stays, "Job was evicted") == 0
        assert "1.0" in quick.link.view().workers["two"].jobs
    finally:
        quick.close()


def test_worker_that_nobody_claims_ends(tmp_path: Path) -> None:
    quick = Fleet(tmp_path, WorkerSettings(grace_s=60, check_s=5, update_s=5, noclaim_s=6))
    try:
        quick.add("idle")
        quick.ready("idle")
        wait_for(lambda: quick.site.list(FLEET)[0].status is ServerStatus.STOPPED, 60)
    finally:
        quick.close()


def test_short_tokens_are_renewed(tmp_path: Path) -> None:
    quick = Fleet(tmp_path, WorkerSettings(grace_s=10, check_s=1, update_s=1, token_s=24))

    def states() -> dict[str, ServerStatus]:
        return {server.name: server.status for server in quick.site.list(FLEET)}

    try:
        quick.add("one", "two")
        quick.ready("one", "two")
        assert boot_identity("one", "00") not in quick.boot_log("one")
        # Long enough for whoever has no new token to end.
        end = time.monotonic() + 24 + 10

        def over() -> bool:
            # It stays: nobody "joins". The other one is not wanted any more, and nobody answers it.
            assert quick.link.admit(["one"]) == []
            return time.monotonic() > end and states()["two"] is ServerStatus.STOPPED

        wait_for(over, 75)
        assert states() == {"one": ServerStatus.ACTIVE, "two": ServerStatus.STOPPED}
        assert "one" in quick.link.view().workers
    finally:
        quick.close()
