"""The results that a run's tasks wrote for their jobs (``RUN/results/TASK.jsonl``), and their totals."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from dynamo.checks.model import Examination, from_json
from dynamo.engines.base import RunFolder
from dynamo.errors import InputError
from dynamo.modules.branching import why_not_made
from dynamo.times import ahead_of, from_epoch, parse_time
from dynamo.workflows.model import Plan

#: Smallest MESH that makes a day one with hail, mm; below, much of it is no hail at the ground.
_HAIL_MM = 20.0


@dataclass(frozen=True)
class JobResult:
    """How one logical job ended; the last of several attempts counts."""

    job: str
    module: str
    succeeded: bool
    wall_s: float = 0.0
    cpu_s: float = 0.0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    started: datetime | None = None
    ended: datetime | None = None
    #: Why it was not run, if a condition or a skipped job kept it from running.
    skipped: str = ""
    #: Failed because a file system did.
    transient: bool = False
    #: Version of the module, if the job got that far.
    version: str = ""
    #: What whoever ordered the run must know.
    remarks: tuple[str, ...] = ()
    #: What the checks measured in the data it read, as JSON data.
    checks: tuple[Mapping[str, Any], ...] = ()


def read_results(folder: RunFolder) -> dict[str, JobResult]:
    """Return the last result of each job; lines truncated by a kill are left out."""
    found: dict[str, JobResult] = {}
    for path in sorted(folder.results.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                data = orjson.loads(line)
                result = JobResult(
                    job=str(data["job"]),
                    module=str(data["module"]),
                    succeeded=data["state"] == "succeeded",
                    skipped=str(data.get("reason") or "skipped") if data["state"] == "skipped" else "",
                    wall_s=float(data.get("wall_s") or 0.0),
                    cpu_s=float(data.get("cpu_s") or 0.0),
                    metrics=dict(data.get("metrics") or {}),
                    error=data.get("error"),
                    started=_time(data.get("started")),
                    ended=_time(data.get("ended")),
                    transient=bool(data.get("transient")),
                    version=str(data.get("module_version") or ""),
                    remarks=tuple(map(str, data.get("remarks") or ())),
                    checks=tuple(data.get("checks") or ()),
                )
            except (ValueError, KeyError, TypeError, AttributeError, InputError):
                continue
            found[result.job] = result
    return found


def sum_up(results: Mapping[str, JobResult], total: int) -> dict[str, Any]:
    """Return the columns of a run derived from its jobs' results: counts, CPU seconds, first start."""
    started = [result.started for result in results.values() if result.started is not None]
    done = sum(result.succeeded or bool(result.skipped) for result in results.values())
    values: dict[str, Any] = {
        "jobs_done": done,
        "jobs_failed": min(len(results) - done, total),
        "cpu_s": sum(result.cpu_s for result in results.values()),
    }
    if started:
        values["started_at"] = min(started)
    return values


def skipped_jobs(folder: RunFolder, plan: Plan, results: Mapping[str, JobResult]) -> dict[str, str]:
    """Return the jobs that a result kept from running, in the plan's order, with the reason.

    Under Pegasus there are no results, but marks in place of products.
    """
    found = {job: result.skipped for job, result in results.items() if result.skipped}
    for lfn in plan.products:
        job = plan.writers[lfn]
        if job not in results and (why := why_not_made(folder.work / lfn)) is not None:
            found.setdefault(job, why)
    return {job.id: found[job.id] for job in plan.jobs if job.id in found}


def remarks_of(results: Mapping[str, JobResult], valid_at: datetime, now: datetime) -> list[str]:
    """Return what whoever ordered a run must know although it succeeded, each remark once.

    Parameters
    ----------
    results
        Those of its jobs.
    valid_at, now
        The time of its products, and the caller's clock: ``latest`` does not point to data from the future.
    """
    ahead = ahead_of(valid_at, now)
    clock = [f"{ahead}: latest does not point to these products"] if ahead else []
    told = [remark for job in sorted(results) for remark in results[job].remarks]
    counts = implausible_values(results)
    left_out = [f"{count} impossible values left out by {module}" for module, count in counts.items()]
    return list(dict.fromkeys([*clock, *told, *left_out]))


def hail_in(results: Mapping[str, JobResult]) -> str:
    """Return what hail a run's jobs found, in words; empty for none or next to none."""
    size_mm = max((_number(result, "mesh_max_mm") for result in results.values()), default=0.0)
    area_km2 = max((_number(result, "hail_km2") for result in results.values()), default=0.0)
    if size_mm >= _HAIL_MM:
        return f"hail of {size_mm:.0f} mm"
    return f"hail on {area_km2:.0f} km2" if area_km2 >= 1.0 else ""


def examinations_of(results: Mapping[str, JobResult]) -> list[Examination]:
    """Return what the checks measured in the data of a run; what a foreign module wrote amiss is left out."""
    found = []
    for job in sorted(results):
        for data in results[job].checks:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, IndexError):
                found.append(from_json(data))
    return found


def implausible_values(results: Mapping[str, JobResult]) -> dict[str, int]:
    """Return how many physically impossible values each module left out, for those that left any out."""
    counts: dict[str, int] = {}
    for result in results.values():
        number = result.metrics.get("implausible_values")
        if isinstance(number, int | float) and number > 0:
            counts[result.module] = counts.get(result.module, 0) + int(number)
    return dict(sorted(counts.items()))


def _number(result: JobResult, name: str) -> float:
    value = result.metrics.get(name)
    return float(value) if isinstance(value, int | float) else 0.0


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        return parse_time(value)
    return from_epoch(float(value)) if isinstance(value, int | float) else None
