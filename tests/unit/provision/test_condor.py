"""How workers' papers, the collector's answers and the queue's history are read and written."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo.errors import InputError, UsageError
from dynamo.pool.manager import Head, worker_identity
from dynamo.pool.record import PoolRecord
from dynamo.provision.condor.admission import Request, modest, read_requests
from dynamo.provision.condor.history import read_job
from dynamo.provision.condor.lost_jobs import last_processes
from dynamo.provision.condor.memory import Memory, WorkerNote
from dynamo.provision.condor.papers import MOST_BYTES, boot_script, read_options
from dynamo.provision.condor.revocation import revocation_text, revoke
from dynamo.provision.condor.settings import WorkerSettings
from dynamo.provision.condor.tokens import check_name
from dynamo.provision.condor.view import QueueSums, add_up, collector_start, read_queue
from dynamo.provision.pool_link import PoolSilentError


def record(state: Path, address: str = "192.0.2.7") -> PoolRecord:
    return PoolRecord(
        id="abc",
        state=str(state),
        config=str(state / "condor_config"),
        bin="/opt/bin",
        sbin="/opt/sbin",
        version="23.9",
        user="daemon",
        slots=2,
        master_pid=0,
        master_start_ticks=0,
        boot="",
        started="",
        kind="manager",
        address=address,
        port=9618,
    )


def script(state: Path, **more: object) -> str:
    options = more.pop("options", {})
    assert isinstance(options, dict)
    return boot_script(
        record(state, str(more.pop("address", "192.0.2.7"))),
        "w-1",
        settings=WorkerSettings(),
        options=read_options(options),
        bootstrap=str(more.pop("bootstrap", "")),
        script=str(more.pop("script", "")),
    )


def test_boot_script_is_plain_sh_and_short(tmp_path: Path) -> None:
    text = script(tmp_path, bootstrap="eyTOKEN", script="echo 'it is' \"$HOME\"\n")
    assert text.startswith("#!/bin/sh\n")
    assert len(text.encode()) < MOST_BYTES
    assert re.findall(r"@[A-Z_]+@", text) == []
    path = tmp_path / "boot.sh"
    path.write_text(text)
    assert subprocess.run(["sh", "-n", str(path)], check=False).returncode == 0
    assert "COLLECTOR_HOST = 192.0.2.7:9618" in text
    assert "NUM_CPUS" in text
    # Only a worker of this machine listens on the loopback interface.
    assert "NETWORK_INTERFACE" not in text
    assert "NETWORK_INTERFACE = 127.0.0.1" in script(tmp_path, address="127.0.0.1")


def test_operators_script_arrives_as_it_is(tmp_path: Path) -> None:
    given_script = "#!/usr/bin/env bash\necho 'END' \"$X\" `id` @WORKER@\nEND\n"
    text = script(tmp_path, script=given_script)
    [found] = re.findall(r"cat >operator\.b64 <<'END'\n(.*?)\nEND\n", text, re.DOTALL)
    assert base64.b64decode(found).decode() == given_script


def test_long_scripts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="16384"):
        script(tmp_path, script="#" * 20_000)


@pytest.mark.parametrize("options", [{"cpu": 1}, {"cpus": 0}, {"condor_prefix": "relative"}, {"condor_prefix": "/a'b"}])
def test_options_of_papers_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        read_options(options)


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", "a-", "a..b", "a" * 64, "a/b", "a b", "a\n", "ü"])
def test_names_that_no_host_has_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True))
def test_names_are_host_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "times", [{"check_s": 900}, {"token_s": 0}, {"noclaim_s": -1}, {"token_s": 100}, {"grace_s": 30}]
)
def test_times_that_cannot_work_are_refused(times: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        WorkerSettings(**times)


def slot(worker: str, kind: str, state: str, activity: str, cpus: int, *, total: int = 4, job: str = "undefined",
         draining: str = "undefined", for_s: int = 0) -> str:  # fmt: skip
    values = [worker, kind, state, activity, str(cpus), str(total), "4096", job, draining, "1700000000", str(for_s)]
    return "\t".join(values)


def test_slots_add_up() -> None:
    lines = [
        slot("a", "Partitionable", "Unclaimed", "Idle", 1),
        slot("a", "Dynamic", "Claimed", "Busy", 2, total=2, job="1.0"),
        slot("a", "Dynamic", "Claimed", "Idle", 1, total=1),
        slot("b", "Partitionable", "Drained", "Retiring", 3, draining="true"),
        slot("b", "Dynamic", "Claimed", "Retiring", 1, total=1, job="2.0", draining="true"),
        slot("c", "Partitionable", "Drained", "Idle", 4, draining="true"),
        # Its parent is not known yet.
        slot("d", "Dynamic", "Claimed", "Busy", 1, total=1, job="3.0"),
        "noise",
    ]
    found = add_up(lines)
    assert set(found) == {"a", "b", "c"}
    a, b, c = found["a"], found["b"], found["c"]
    assert (a.cpus, a.busy_cpus, a.memory_mb, a.jobs, a.draining, a.drained) == (4, 2, 4096, ("1.0",), False, False)
    assert (b.busy_cpus, b.jobs, b.draining, b.drained) == (1, ("2.0",), True, False)
    assert (c.busy_cpus, c.draining, c.drained) == (0, True, True)
    assert a.started_at is not None
    assert a.started_at.timestamp() == 1_700_000_000


def test_jobs_of_the_queue_add_up() -> None:
    host = "slot1_3@w-1.worker.dynamo.internal"
    lines = [
        "1\t2\tundefined\t1\t0",
        "1\tundefined\tundefined\t1\t1",
        f"2\t4\t{host}\t2\t0",
        f"6\t1\t{host}\t3\t7",
        "2\t1\tslot1@elsewhere.example\t4\t0",
        f"5\t9\t{host}\t5\t0",
        "",
    ]
    assert read_queue(lines) == QueueSums(3, 6, {"w-1": ["2.0", "3.7"]})


def test_a_claim_without_a_job_is_seen_with_its_age() -> None:
    lines = [
        slot("a", "Partitionable", "Unclaimed", "Idle", 1, for_s=900),
        slot("a", "Dynamic", "Claimed", "Busy", 1, total=1, job="1.0", for_s=700),
        slot("a", "Dynamic", "Claimed", "Idle", 1, total=1, for_s=61),
        slot("a", "Dynamic", "Claimed", "Idle", 1, total=1, for_s=4),
    ]
    assert add_up(lines)["a"].idle_claim_s == 61


def test_the_process_of_a_job_is_the_last_one_that_wrote_about_it() -> None:
    """A shadow goes on with other jobs, and its command line names only the first."""
    lines = [
        "11/27/26 22:05:39 (?.?) (471): ******* Standard configuration",
        "11/27/26 22:05:39 (8.0) (471): Request to run on slot1_1@a.worker.dynamo.internal",
        "11/27/26 22:05:50 (8.1) (471): Request to run on slot1_1@a.worker.dynamo.internal",
        "11/27/26 22:06:00 (8.0) (508): Request to run on slot1_1@b.worker.dynamo.internal",
    ]
    assert last_processes(lines, {"8.0", "8.1", "9.0"}) == {"8.0": 508, "8.1": 471}


def test_collectors_age_is_read() -> None:
    start = collector_start(["1700000100", "100"])
    assert start is not None
    assert start.timestamp() == 1_700_000_000
    assert collector_start([]) is None
    assert collector_start(["undefined", "undefined"]) is None


def job(**more: object) -> dict[str, object]:
    return {
        "ClusterId": 7,
        "ProcId": 0,
        "JobStatus": 4,
        "LastRemoteHost": "slot1_2@w-1.worker.dynamo.internal",
        "CompletionDate": 1_700_000_000,
        "EnteredCurrentStatus": 1_700_000_009,
        "RemoteWallClockTime": 3.5,
        "RequestCpus": 2,
        "ExitCode": 0,
        "ExitBySignal": False,
        **more,
    }


def test_run_of_a_job_is_that_of_its_folder() -> None:
    # The tag is another one for each attempt.
    found = read_job(job(DynamoRun="attempt", DynamoFolder="/state/runs/abc123/"))
    assert found is not None
    assert found.run == "abc123"


def test_good_job() -> None:
    found = read_job(job(DynamoRun="r", pegasus_wf_name="hail-0"))
    assert found is not None
    assert (found.job, found.worker, found.ok, found.cpus, found.wall_s) == ("7.0", "w-1", True, 2, 3.5)
    assert (found.run, found.workflow) == ("r", "hail")


@pytest.mark.parametrize(
    "more",
    [
        {"ExitCode": 1},
        {"ExitCode": None},
        {"ExitBySignal": True, "ExitCode": None},
        {"JobStatus": 5, "HoldReasonCode": 6},
    ],
)
def test_bad_jobs(more: dict[str, object]) -> None:
    found = read_job(job(**more))
    assert found is not None
    assert not found.ok
    assert (found.run, found.workflow) == ("", "")


@pytest.mark.parametrize(
    "more",
    [
        {"LastRemoteHost": None},
        {"LastRemoteHost": "slot1@elsewhere.example"},
        {"JobStatus": 3},
        {"JobStatus": 5, "HoldReasonCode": 1},
        {"ClusterId": None, "LastRemoteHost": 5},
    ],
)
def test_jobs_that_say_nothing_of_a_worker(more: dict[str, object]) -> None:
    assert read_job(job(**more)) is None


def test_time_on_a_worker_is_that_of_the_last_attempt() -> None:
    """40 minutes of an attempt on a worker that was lost are not the next worker's."""
    found = read_job(
        job(RemoteWallClockTime=2521.0, JobCurrentStartDate=1_795_756_745, CompletionDate=1_795_756_806, NumJobStarts=2)
    )
    assert found is not None
    assert found.wall_s == 61.0


def attempt(**more: object) -> dict[str, object]:
    epoch = {"JobStatus": 2, "EpochWriteDate": 1_700_000_010, "JobCurrentStartDate": 1_700_000_006, "Cmd": "/bin/x"}
    return job(**{**epoch, "ExitCode": None, "CompletionDate": None, **more})


@pytest.mark.parametrize(
    ("more", "ok", "stopped"),
    [
        ({"ExitCode": 0}, True, False),
        ({"ExitCode": 1, "RequeueReason": "OnExitRemove evaluated to FALSE"}, False, False),
        ({"ExitBySignal": True, "ExitSignal": 9}, False, False),
        ({"ExitCode": 255, "VacateReasonCode": 6}, False, False),
        ({"VacateReasonCode": 1007}, False, False),
        ({"VacateReasonCode": 1004}, False, True),
        ({"VacateReasonCode": 1}, False, True),
        ({"ExitBySignal": True, "VacateReasonCode": 1005}, False, True),
        ({}, False, True),
    ],
    ids=[
        "good",
        "tried again",
        "signal",
        "cannot be executed",
        "starter failed",
        "user",
        "held by user",
        "drained",
        "-",
    ],
)
def test_each_attempt_is_read(more: dict[str, object], ok: bool, stopped: bool) -> None:
    found = read_job(attempt(**more))
    assert found is not None
    assert (found.wall_s, found.ok, found.stopped, found.kind) == (4.0, ok, stopped, "/bin/x")
    assert found.ended_at.timestamp() == 1_700_000_010


def test_jobs_of_one_kind_run_the_same() -> None:
    kinds = [
        read_job(ad)
        for ad in (
            job(DynamoRun="r", JobBatchName="hail 20260101", DynamoTask="detect"),
            job(pegasus_wf_name="hail-0", DynamoTask="detect"),
            job(Cmd="/x/\x1b[31m.sh"),
        )
    ]
    assert [found.kind for found in kinds if found is not None] == ["hail detect", "hail detect", "/x/[31m.sh"]


def asked(**more: object) -> Request:
    fields: dict[str, object] = {
        "id": "1",
        "asker": "w.ab@boot.dynamo.internal",
        "wanted": worker_identity("w"),
        "may": frozenset({"READ"}),
        "lifetime_s": 60,
    }
    return Request(**{**fields, **more})  # type: ignore[arg-type]


def test_only_modest_requests_are_answered() -> None:
    assert modest(asked(), 60)
    assert not modest(asked(may=frozenset()), 60)
    assert not modest(asked(may=frozenset({"READ", "WRITE"})), 60)
    assert not modest(asked(lifetime_s=-1), 60)
    assert not modest(asked(lifetime_s=61), 60)
    assert asked(wanted="w@dynamo.internal").worker == ""
    assert asked().worker == "w"


def test_requests_are_read() -> None:
    text = (
        '[{"AuthenticatedIdentity": "a", "LimitAuthorization": "READ,WRITE", "RequestedIdentity": "b", '
        '"RequestId": "12", "TokenLifetime": 5}, {}]'
    )
    first, second = read_requests(text)
    assert first == Request("12", "a", "b", frozenset({"READ", "WRITE"}), 5)
    assert second.may == frozenset()
    assert read_requests("") == []
    with pytest.raises(PoolSilentError):
        read_requests("no JSON")


def test_notes_survive_and_are_private(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "workers")
    assert memory.get("a") == WorkerNote("a")
    memory.put(WorkerNote("a", serial="x", drain_until=5.0))
    assert Memory(tmp_path / "workers").get("a") == WorkerNote("a", serial="x", drain_until=5.0)
    assert (tmp_path / "workers" / "a.json").stat().st_mode & 0o077 == 0
    (tmp_path / "workers" / "a.json").write_text("{")
    assert memory.get("a") == WorkerNote("a")


def test_revocation_list_does_not_grow_for_ever(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "workers")
    now = time.time()
    memory.put(WorkerNote("long-gone", revoked=True, token_until=now - 1000))
    memory.put(WorkerNote("lives", token_until=now + 1000))
    memory.put(WorkerNote("leaves", serial="aa", token_until=now + 1000))
    revoke(record(tmp_path), memory, ["leaves"])
    text = (tmp_path / "revoked.conf").read_text()
    assert "leaves@worker" in text
    assert "lives@" not in text
    assert "long-gone" not in text
    assert memory.get("long-gone") == WorkerNote("long-gone")
    assert memory.get("leaves").serial == ""
    assert "SEC_TOKEN_REVOCATION_EXPR" not in revocation_text([])


def test_manager_keeps_its_port(tmp_path: Path) -> None:
    first = Head.choose(tmp_path, "127.0.0.1", "", 0)
    assert Head.choose(tmp_path, "127.0.0.1", "", 0).port == first.port
    with pytest.raises(UsageError, match="public"):
        Head.choose(tmp_path, "0.0.0.0", "", 0)
    with pytest.raises(UsageError, match="address"):
        Head.choose(tmp_path, "no-address", "", 0)
    with pytest.raises(UsageError):
        Head.choose(tmp_path, "192.0.2.77", "", 0)


def test_sockets_of_a_long_folder_are_elsewhere(tmp_path: Path) -> None:
    state = tmp_path / ("n" * 100)
    state.mkdir()
    first = Head.choose(state, "127.0.0.1", "", 0)
    try:
        assert len(str(first.sockets)) < 70
        assert Head.choose(state, "127.0.0.1", "", 0).sockets == first.sockets
        assert first.sockets.stat().st_mode & 0o077 == 0
    finally:
        first.sockets.rmdir()
