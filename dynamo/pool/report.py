"""Status of the personal pool."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import orjson

from dynamo.pool.processes import name_of
from dynamo.pool.record import PoolRecord, default_state, read_record

#: Whether a slot can run containers, and with what.
_RUNTIME = ("HasSingularity", "SingularityVersion")
_JOB_STATES = {1: "idle", 2: "running", 3: "removed", 4: "completed", 5: "held", 6: "transferring", 7: "suspended"}


def _ask(record: PoolRecord, program: str, *arguments: str, timeout_s: float = 10.0) -> str:
    # Run in a subprocess: the bindings read the configuration only once per process.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("_CONDOR_")}
    environment["CONDOR_CONFIG"] = record.config
    try:
        done = subprocess.run(
            [f"{record.bin}/{program}", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=timeout_s,
        )
    except (subprocess.TimeoutExpired, OSError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _ads(text: str) -> list[dict[str, Any]]:
    found = orjson.loads(text) if text.strip() else []
    return found if isinstance(found, list) else []


def advertised(record: PoolRecord) -> list[tuple[str, str]]:
    """Return type and name of each ad in the pool's collector; empty if it does not respond."""
    text = _ask(record, "condor_status", "-any", "-af:t", "MyType", "Name", timeout_s=5.0)
    pairs = [line.split("\t", 1) for line in text.splitlines() if "\t" in line]
    return [(kind, name) for kind, name in pairs]


def pool_status(state: Path | None = None) -> dict[str, Any]:
    """Return the state of the user's pool (``up``, ``down`` or ``dead``), its daemons, slots and jobs.

    A ``dead`` pool stopped without `down` (a kill, a reboot).
    """
    state = (state or default_state()).absolute()
    record = read_record(state)
    if record is None:
        return {"state": "down", "state_dir": str(state)}
    known = {"state_dir": record.state, "config": record.config, "version": record.version, "started": record.started}
    if not record.running():
        return {"state": "dead", **known}
    wanted = ",".join(("Name", "State", "Activity", "Cpus", "Memory", "SlotType", "TotalSlotCpus", *_RUNTIME))
    slots = _ads(_ask(record, "condor_status", "-json", "-attributes", wanted))
    jobs = _ads(
        _ask(
            record,
            "condor_q",
            "-allusers",
            "-json",
            "-attributes",
            "ClusterId,ProcId,JobStatus,Cmd,Arguments,JobBatchName,HoldReason,JobUniverse",
        )
    )
    return {
        "state": "up",
        **known,
        "user": record.user,
        "capacity": record.slots,
        "containers": next((slot.get(_RUNTIME[1]) for slot in slots if slot.get(_RUNTIME[0])), None),
        "daemons": [
            {"name": name_of(process), "pid": process.pid}
            for process in record.processes()
            if name_of(process).startswith("condor_")
        ],
        "slots": [
            {
                "name": slot.get("Name"),
                "state": slot.get("State"),
                "activity": slot.get("Activity"),
                "cpus": slot.get("Cpus"),
                "memory_mb": slot.get("Memory"),
                "free": slot.get("SlotType") == "Partitionable",
            }
            for slot in slots
        ],
        "jobs": [
            {
                "id": f"{job.get('ClusterId')}.{job.get('ProcId')}",
                "state": _JOB_STATES.get(job.get("JobStatus", 0), "unknown"),
                "command": job.get("Cmd"),
                "batch": job.get("JobBatchName"),
                "reason": job.get("HoldReason"),
            }
            for job in jobs
        ],
    }
