"""The results that a run's tasks wrote for their jobs (``RUN/results/TASK.jsonl``), and their totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from dynamo.engines.base import RunFolder
from dynamo.errors import InputError
from dynamo.times import from_epoch, parse_time


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
    #: Version of the module, if the job got that far.
    version: str = ""


def read_results(folder: RunFolder) -> dict[str, JobResult]:
    """Return the last result of each job; lines truncated by a kill are left out."""
    found: dict[str, JobResult] = {}
    for path in sorted(folder.results.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                data = orjson.loads(line)
                result = JobResult(
                    job=data["job"],
                    module=data["module"],
                    succeeded=data["state"] == "succeeded",
                    wall_s=float(data.get("wall_s") or 0.0),
                    cpu_s=float(data.get("cpu_s") or 0.0),
                    metrics=data.get("metrics") or {},
                    error=data.get("error"),
                    started=_time(data.get("started")),
                    ended=_time(data.get("ended")),
                    version=str(data.get("module_version") or ""),
                )
            except (ValueError, KeyError, TypeError, InputError):
                continue
            found[result.job] = result
    return found


def sum_up(results: Mapping[str, JobResult], total: int) -> dict[str, Any]:
    """Return the columns of a run derived from its jobs' results: counts, CPU seconds, first start."""
    started = [result.started for result in results.values() if result.started is not None]
    done = sum(result.succeeded for result in results.values())
    values: dict[str, Any] = {
        "jobs_done": done,
        "jobs_failed": min(len(results) - done, total),
        "cpu_s": sum(result.cpu_s for result in results.values()),
    }
    if started:
        values["started_at"] = min(started)
    return values


def _time(value: object) -> datetime | None:
    if isinstance(value, str):
        return parse_time(value)
    return from_epoch(float(value)) if isinstance(value, int | float) else None
