"""Counting of a run's jobs from its result lines, common to all engines."""

from __future__ import annotations

from dynamo.engines.base import RunFolder, State, Status
from dynamo.modules.runner import ended_well, read_results


def count_results(folder: RunFolder, state: State, reason: str, *, transient: bool = False) -> Status:
    """Return a status with the numbers of finished, failed and total logical jobs."""
    results = read_results(folder.results)
    done = sum(map(ended_well, results))
    failed = sum(line["state"] == "failed" for line in results)
    total = sum(len(task.jobs) for task in folder.read_layout().tasks)
    return Status(state, reason, done, failed, total, transient)
