"""Attempts of jobs that ended on workers, from what the queue writes about each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson

from dynamo.engines.condor.description import FOLDER, TAG
from dynamo.provision.condor.tools import Tools, worker_of
from dynamo.provision.pool_link import FinishedJob, PoolSilentError
from dynamo.times import from_epoch

_COMPLETED, _HELD = 4, 5
_TASK = "DynamoTask"
_LONGEST_KIND = 100
_FIELDS = (
    "ClusterId", "ProcId", "JobStatus", "LastRemoteHost", "RemoteHost", "CompletionDate", "EnteredCurrentStatus",
    "EpochWriteDate", "JobCurrentStartDate", "RemoteWallClockTime", "RequestCpus", "CpusProvisioned", "ExitCode",
    "ExitBySignal", "HoldReasonCode", "VacateReasonCode", "Cmd", "JobBatchName", TAG, FOLDER, _TASK, "pegasus_wf_name",
)  # fmt: skip
#: Hold codes unrelated to the worker: by a user, by the submitter, while files are spooled.
_NOT_THE_WORKERS = frozenset({1, 15, 16})
#: Codes from here on tell why an attempt was stopped without a hold: for a drain, a user, a lost connection.
_STOPPED = 1000
#: The exceptions: the job's shadow or the worker's starter failed.
_STARTER_FAILED = frozenset({1002, 1007})
#: What HTCondor says if it writes no record of each attempt, or has not written one yet.
_NO_ATTEMPTS = "no job run instance"


def finished_since(tools: Tools, since: datetime) -> Sequence[FinishedJob]:
    """Return the attempts that ended on workers after ``since``, oldest first.

    A pool without a record of attempts (`JOB_EPOCH_HISTORY`) tells only the last one of each job.

    Raises
    ------
    PoolSilentError
        If the queue does not answer.
    """
    start = int(since.timestamp())
    wanted = ("-json", "-attributes", ",".join(_FIELDS))
    # Newest first, so the search stops at the first attempt that ended earlier.
    try:
        ads = _ads(tools.run("condor_history", "-epochs", *wanted, *_from(start, "EpochWriteDate")))
    except PoolSilentError as error:
        if _NO_ATTEMPTS not in str(error).lower():
            raise
        ended = tools.run("condor_history", *wanted, *_from(start, "CompletionDate"))
        held = tools.run(
            *("condor_q", "-allusers", *wanted),
            *("-constraint", f"JobStatus == {_HELD} && EnteredCurrentStatus >= {start}"),
        )
        ads = [*_ads(ended), *_ads(held)]
    jobs = [job for ad in ads if (job := read_job(ad)) is not None and job.ended_at > since]
    return sorted(jobs, key=lambda job: (job.ended_at, job.job))


def _from(start: int, field: str) -> tuple[str, ...]:
    return ("-constraint", f"{field} >= {start}", "-since", f"{field} > 0 && {field} < {start - 60}")


def _ads(text: str) -> Sequence[dict[str, Any]]:
    try:
        found = orjson.loads(text) if text.strip() else []
    except orjson.JSONDecodeError as error:
        raise PoolSilentError(f"cannot read the queue's answer: {error}") from None
    return found if isinstance(found, list) else []


def read_job(ad: dict[str, Any]) -> FinishedJob | None:
    """Return the attempt described by an ad, or None if none ended on a worker."""
    worker = worker_of(str(ad.get("LastRemoteHost") or ad.get("RemoteHost") or ""))
    attempt = _number(ad.get("EpochWriteDate"))
    held = not attempt and ad.get("JobStatus") == _HELD
    if not worker or not (attempt or held or ad.get("JobStatus") == _COMPLETED):
        return None
    why = ad.get("HoldReasonCode") if held else ad.get("VacateReasonCode")
    if held and why in _NOT_THE_WORKERS:
        return None
    ended = attempt or _number(ad.get("EnteredCurrentStatus" if held else "CompletionDate"))
    began = _number(ad.get("JobCurrentStartDate"))
    cpus = int(_number(ad.get("CpusProvisioned")) or _number(ad.get("RequestCpus")) or 1)
    finished = not held and why is None and (ad.get("ExitCode") is not None or ad.get("ExitBySignal") is True)
    return FinishedJob(
        job=f"{ad.get('ClusterId')}.{ad.get('ProcId')}",
        worker=worker,
        ended_at=from_epoch(ended),
        # `RemoteWallClockTime` is that of all attempts, which may have been elsewhere.
        wall_s=max(0.0, ended - began) if began else _number(ad.get("RemoteWallClockTime")),
        cpus=cpus,
        ok=finished and ad.get("ExitBySignal") is not True and ad.get("ExitCode") == 0,
        run=_run(ad),
        workflow=_workflow(ad),
        kind=_kind(ad),
        stopped=bool(attempt) and not finished and not _counts(why),
    )


def _counts(why: object) -> bool:
    """Return whether the reason why an attempt was stopped says something about the worker or the job."""
    code = int(_number(why))
    return code in _STARTER_FAILED or (0 < code < _STOPPED and code not in _NOT_THE_WORKERS)


def _workflow(ad: dict[str, Any]) -> str:
    batch = str(ad.get("JobBatchName") or "")
    # The engine names a batch "WORKFLOW RUN-FOLDER".
    workflow = str(ad.get("pegasus_wf_name") or "").removesuffix("-0")
    return workflow or (batch.rpartition(" ")[0] if ad.get(TAG) else "")


def _kind(ad: dict[str, Any]) -> str:
    workflow, task = _workflow(ad), str(ad.get(_TASK) or "")
    kind = " ".join(filter(None, (workflow, task))) or str(ad.get("Cmd") or "")
    # It is shown to people, and submitters may write anything.
    return "".join(letter for letter in kind[:_LONGEST_KIND] if letter.isprintable())


def _run(ad: dict[str, Any]) -> str:
    """Return a job's run: its folder is named after the run, whatever the attempt's tag."""
    folder = str(ad.get(FOLDER) or "").rstrip("/")
    return folder.rpartition("/")[2] or str(ad.get(TAG) or "")


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
