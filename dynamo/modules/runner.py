"""Run the logical jobs of one task in one process, so that the science libraries are imported once.

``python -m dynamo.modules.runner RUN TASK`` executes ``RUN/tasks/TASK.json`` inside ``RUN/work`` and appends one JSON
line per logical job to ``RUN/results/TASK.jsonl``. Jobs already recorded as succeeded or skipped, whose outputs (or the
marks in their place) exist, are not run again, so a killed task resumes where it stopped, and a decision on a result
stands. If ``RUN/cancel`` appears, the task stops before its next job.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from dynamo.errors import DynamoError, passing_fault
from dynamo.formats.origin import known_checksums
from dynamo.modules.branching import Skip, run_if
from dynamo.modules.registry import find_module
from dynamo.times import to_iso, utc_now
from dynamo.workflows.model import branches_from_json, files_of

#: Exit code of a task with a failed job.
FAILED = 1


def run_task(root: Path, task: str, on_job: Callable[[dict[str, Any]], None] | None = None) -> bool:
    """Run one task of the run folder ``root``.

    Parameters
    ----------
    root
        The run folder.
    task
        The id of the task.
    on_job
        Called with the result line of each job.

    Returns
    -------
    bool
        Whether every job succeeded or was skipped. Jobs that need a failed one are left out, whatever it wrote before
        it failed; the rest still run.
    """
    described = orjson.loads((root / "tasks" / f"{task}.json").read_bytes())
    jobs = described["jobs"]
    results = root / "results" / f"{task}.jsonl"
    results.parent.mkdir(parents=True, exist_ok=True)
    lines = _done(results)
    done = {line["job"] for line in lines}
    #: Files that the checks have looked at: the first job that decodes one does it for all.
    examined: dict[str, int] = {}
    for line in lines:
        _note_examined(examined, line)
    work = root / "work"
    sums = {work / lfn: sha for lfn, sha in described.get("checksums", {}).items()}
    succeeded = True
    #: What failed jobs, and those left out for them, should have written.
    missing: set[str] = set()
    with results.open("ab", buffering=0) as stream:
        for job in jobs:
            if (root / "cancel").exists():
                return False
            written = written_by(job)
            if job["id"] in done and all((work / lfn).is_file() for lfn in written):
                continue
            conditions = [lfn for branch in branches_from_json(job) for lfn in branch.files]
            if not missing.isdisjoint((*files_of(job["inputs"]), *conditions)):
                missing.update(written)
                continue
            with known_checksums(sums):
                line = _run_job(work, job, examined)
            _note_examined(examined, line)
            line["task"] = task
            if not ended_well(line):
                succeeded = False
                missing.update(written)
            stream.write(orjson.dumps(line) + b"\n")
            if on_job:
                on_job(line)
    return succeeded


def written_by(job: Mapping[str, Any]) -> list[str]:
    """Return the LFNs that a job of a task file writes."""
    return [*files_of(job["outputs"]), *([job["numbers"]] if job.get("numbers") else [])]


def ended_well(line: Mapping[str, Any]) -> bool:
    """Return whether a result line is that of a job that succeeded, or was rightly not run."""
    return line["state"] in ("succeeded", "skipped")


def read_results(folder: Path) -> list[dict[str, Any]]:
    """Return the last result line of each job below ``folder``, skipping half-written lines."""
    last: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                result = orjson.loads(line)
                last[result["job"]] = {"state": "", **result}
            except (ValueError, KeyError, TypeError):
                continue  # the writer was killed, or is still writing
    return list(last.values())


def _done(results: Path) -> list[dict[str, Any]]:
    if not results.is_file():
        return []
    if not results.read_bytes().endswith(b"\n"):
        # A kill cut off the last line: end it, or the next one would be lost, too.
        with results.open("ab") as stream:
            stream.write(b"\n")
    return [line for line in read_results(results.parent) if ended_well(line)]


def _note_examined(examined: dict[str, int], line: Mapping[str, Any]) -> None:
    """Note the files that a job has examined, with their flags."""
    if line.get("checks"):
        from dynamo.checks.judging import worst_flag

        examined.update((str(check.get("file", "")), worst_flag(check)) for check in line["checks"])


def _run_job(work: Path, job: dict[str, Any], examined: Mapping[str, int]) -> dict[str, Any]:
    started = utc_now()
    line: dict[str, Any] = {
        "job": job["id"],
        "module": job["module"],
        "host": socket.gethostname(),
        "started": to_iso(started),
    }
    try:
        module = find_module(job["module"])
        outcome = run_if(
            module,
            {port: [work / lfn for lfn in lfns] for port, lfns in job["inputs"].items()},
            {port: [work / lfn for lfn in lfns] for port, lfns in job["outputs"].items()},
            job["arguments"],
            when=branches_from_json(job),
            numbers=work / job["numbers"] if job.get("numbers") else None,
            folder=work,
            examined=examined,
        )
        if isinstance(outcome, Skip):
            line |= {"state": "skipped", "reason": outcome.reason, "wall_s": 0.0, "cpu_s": 0.0}
        else:
            line |= {
                "state": "succeeded",
                "module_version": module.version,
                "wall_s": round(outcome.wall_s, 6),
                "cpu_s": round(outcome.cpu_s, 6),
                "metrics": dict(outcome.metrics),
                "remarks": list(outcome.remarks),
                "checks": list(outcome.checks),
                "error": None,
            }
    except Exception as error:  # broken files make the libraries fail in every way
        # A bug in one module must not take down the task's other jobs; the line reports it.
        text = str(error) if isinstance(error, DynamoError) else f"{type(error).__name__}: {error}"
        line |= {
            "state": "failed",
            "wall_s": 0.0,
            "cpu_s": 0.0,
            "metrics": {},
            "error": " ".join(text.split()),
            # Not its own fault: it may succeed if it is run again.
            "transient": passing_fault(error) is not None,
        }
    line["ended"] = to_iso(utc_now())
    return line


def main() -> None:
    """Entry point of ``python -m dynamo.modules.runner RUN TASK``."""

    def show(line: dict[str, Any]) -> None:
        sys.stdout.write(orjson.dumps(line).decode() + "\n")

    sys.exit(0 if run_task(Path(sys.argv[1]), sys.argv[2], show) else FAILED)


if __name__ == "__main__":
    main()
