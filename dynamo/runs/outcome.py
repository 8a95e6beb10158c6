"""What a finished run leaves in the store: the sums over its jobs, and its products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamo.runs.publish import Publication, describe
from dynamo.runs.results import JobResult
from dynamo.store.models import Run


def sum_up(results: Mapping[str, JobResult], total: int) -> dict[str, Any]:
    """Return the columns of a run that the results of its jobs tell: counts, CPU seconds, the first start."""
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


def product_rows(run: Run, publication: Publication) -> list[dict[str, Any]]:
    """Return the rows of the table of products for a publication."""
    rows = []
    for item in publication.products:
        lead, valid = (item.lead_min, item.valid_at)
        if lead is None and run.valid_at is not None:
            lead, valid = describe(item.lfn, run.valid_at)
        rows.append(
            {
                "run_id": run.id,
                "lfn": item.lfn,
                "path": str(publication.folder / item.lfn),
                "sha256": item.sha256,
                "bytes": item.bytes,
                "lead_min": lead,
                "valid_at": valid,
            }
        )
    return rows
