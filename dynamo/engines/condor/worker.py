"""Entry point for one task on a worker: ``python -m dynamo.engines.condor.worker TASK SECONDS [yielding]``.

If the worker shares our file system, HTCondor starts the task in the run folder. Otherwise it starts the task in a
scratch folder (sandbox) with the task file and inputs under the same relative names, and transfers the output and
result folders back to the run folder. Standard output has one invocation record per logical job in pegasus-kickstart
format, which Pegasus's own tools read.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import cast

import orjson

from dynamo.engines.condor.pegasus_records import task_records
from dynamo.engines.output import JobLog, Pump
from dynamo.modules.runner import FAILED, read_results, run_task, written_by
from dynamo.processes import LONGEST_WAIT_S, yield_to_others

#: Standard output and error.
_STREAMS = (1, 2)
#: The argument with which a task leaves the processor to whoever else wants it.
YIELDING = "yielding"
#: Sandbox folders that HTCondor transfers back.
BROUGHT_BACK = ("work", "results")


def in_sandbox(root: Path) -> bool:
    """Return whether ``root`` is the scratch folder HTCondor created for this job."""
    scratch = os.environ.get("_CONDOR_SCRATCH_DIR")
    return scratch is not None and Path(scratch).is_dir() and root.samefile(scratch)


def keep_outputs(root: Path, task: str) -> None:
    """Remove everything but the task's outputs from the sandbox's work folder: inputs are not transferred back."""
    jobs = orjson.loads((root / "tasks" / f"{task}.json").read_bytes())["jobs"]
    written = {root / "work" / lfn for job in jobs for lfn in written_by(job)}
    for name in BROUGHT_BACK:
        # HTCondor holds a job if a folder to transfer is missing.
        (root / name).mkdir(exist_ok=True)
    for path in (root / "work").rglob("*"):
        if path not in written and not path.is_dir():
            path.unlink()


def run_watched(root: Path, task: str, max_seconds: float) -> int:
    """Run the task in a child process; return its exit code, and report a timeout or signal on standard error.

    A process that hangs in a library cannot stop itself, and one that crashes cannot deliver its results.
    """
    # Forking before the science is imported costs a millisecond; before the threads that read its output, it is safe.
    pipes = [os.pipe() for _ in _STREAMS]
    child = multiprocessing.get_context("fork").Process(target=_run, args=(root, task, pipes))
    child.start()
    pumps = [_pump(pipe, descriptor) for pipe, descriptor in zip(pipes, _STREAMS, strict=True)]
    # The kernel takes timeouts in milliseconds as 31 bits.
    child.join(min(max_seconds, LONGEST_WAIT_S))
    in_time = not child.is_alive()
    if not in_time:
        child.kill()
        child.join()
    for pump in pumps:
        pump.send_to(None)
    code = FAILED if child.exitcode is None else child.exitcode
    if not in_time:
        sys.stderr.write(f"killed: exceeded its time limit of {max_seconds:g} s\n")
    elif code < 0:
        sys.stderr.write(f"killed by {signal.Signals(-code).name}\n")
    return code if code >= 0 else FAILED


def _pump(pipe: tuple[int, int], descriptor: int) -> Pump:
    """Pass on what comes through a pipe, as much as a log may have."""
    reading, writing = pipe
    os.close(writing)
    pump = Pump()
    pump.send_to(JobLog(partial(os.write, descriptor)))
    pump.take_from(os.fdopen(reading, "rb", buffering=0))
    return pump


def _run(root: Path, task: str, pipes: Sequence[tuple[int, int]]) -> None:
    for (reading, writing), descriptor in zip(pipes, _STREAMS, strict=True):
        os.dup2(writing, descriptor)
        os.close(reading)
        os.close(writing)
    # To be read as it comes: whoever kills it gives no warning.
    cast("TextIOWrapper", sys.stdout).reconfigure(line_buffering=True)
    # What a run writes is its owner's alone until it is published.
    os.umask(0o077)
    sys.exit(0 if run_task(root, task) else FAILED)


def main() -> None:
    """Run the task; exit code 0 if all its jobs succeeded."""
    root, task, max_seconds = Path.cwd(), sys.argv[1], float(sys.argv[2])
    if sys.argv[3:] == [YIELDING]:
        yield_to_others()
    code = run_watched(root, task, max_seconds)
    jobs = orjson.loads((root / "tasks" / f"{task}.json").read_bytes())["jobs"]
    lines = {line["job"]: line for line in read_results(root / "results")}
    sys.stdout.write(task_records([lines[job["id"]] for job in jobs if job["id"] in lines], total=len(jobs)))
    if in_sandbox(root):
        keep_outputs(root, task)
    sys.exit(code)


if __name__ == "__main__":
    main()
