"""Jobs that ended on workers: from the queue's history, plus those put on hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson

from dynamo.engines.condor.description import FOLDER, TAG
from dynamo.pool.manager import WORKER_DOMAIN
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import FinishedJob, PoolSilentError
from dynamo.times import from_epoch

_COMPLETED, _HELD = 4, 5
_FIELDS = (
    "ClusterId", "ProcId", "JobStatus", "LastRemoteHost", "RemoteHost", "CompletionDate", "EnteredCurrentStatus",
    "RemoteWallClockTime", "RequestCpus", "CpusProvisioned", "ExitCode", "ExitBySignal", "HoldReasonCode",
    "JobBatchName", TAG, FOLDER, "pegasus_wf_name",
)  # fmt: skip
#: Hold codes unrelated to the worker: by a user, by the submitter, while files are spooled.
_NOT_THE_WORKERS = frozenset({1, 15, 16})
_HOST = re.compile(rf"(?:slot[0-9_]+@)?(?P<worker>[^@]+)\.{re.escape(WORKER_DOMAIN)}")


def finished_since(tools: Tools, since: datetime) -> Sequence[FinishedJob]:
    """Return the jobs that ended on workers after ``since``, oldest first.

    Raises
    ------
    PoolSilentError
        If the queue does not answer.
    """
    start = int(since.timestamp())
    attributes = ",".join(_FIELDS)
    # Newest first, so the search stops at the first job that left the queue earlier.
    ended = tools.run(
        "condor_history",
        *("-json", "-attributes", attributes),
        *("-constraint", f"JobStatus == {_COMPLETED} && CompletionDate >= {start}", "-since"),
        f"CompletionDate > 0 && CompletionDate < {start - 60}",
    )
    held = tools.run(
        "condor_q",
        *("-allusers", "-json", "-attributes", attributes),
        *("-constraint", f"JobStatus == {_HELD} && EnteredCurrentStatus >= {start}"),
    )
    jobs = [job for ad in (*_ads(ended), *_ads(held)) if (job := read_job(ad)) is not None and job.ended_at > since]
    return sorted(jobs, key=lambda job: (job.ended_at, job.job))


def _ads(text: str) -> Iterable[dict[str, Any]]:
    try:
        found = orjson.loads(text) if text.strip() else []
    except orjson.JSONDecodeError as error:
        raise PoolSilentError(f"cannot read the queue's answer: {error}") from None
    return found if isinstance(found, list) else []


def read_job(ad: dict[str, Any]) -> FinishedJob | None:
    """Return the job described by an ad, or None if it did not end on a worker."""
    host = _HOST.fullmatch(str(ad.get("LastRemoteHost") or ad.get("RemoteHost") or ""))
    status = ad.get("JobStatus")
    if host is None or status not in {_COMPLETED, _HELD}:
        return None
    held = status == _HELD
    if held and ad.get("HoldReasonCode") in _NOT_THE_WORKERS:
        return None
    ended = _number(ad.get("EnteredCurrentStatus" if held else "CompletionDate"))
    cpus = int(_number(ad.get("CpusProvisioned")) or _number(ad.get("RequestCpus")) or 1)
    batch = str(ad.get("JobBatchName") or "")
    # The engine names a batch "WORKFLOW RUN-FOLDER".
    workflow = str(ad.get("pegasus_wf_name") or "").removesuffix("-0")
    return FinishedJob(
        job=f"{ad.get('ClusterId')}.{ad.get('ProcId')}",
        worker=host["worker"],
        ended_at=from_epoch(ended),
        wall_s=_number(ad.get("RemoteWallClockTime")),
        cpus=cpus,
        ok=not held and ad.get("ExitBySignal") is not True and ad.get("ExitCode") == 0,
        run=_run(ad),
        workflow=workflow or (batch.rpartition(" ")[0] if ad.get(TAG) else ""),
    )


def _run(ad: dict[str, Any]) -> str:
    """Return a job's run: its folder is named after the run, whatever the attempt's tag."""
    folder = str(ad.get(FOLDER) or "").rstrip("/")
    return folder.rpartition("/")[2] or str(ad.get(TAG) or "")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
