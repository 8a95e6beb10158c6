"""The submit description of one task, for HTCondor and Pegasus's tools."""

from __future__ import annotations

from pathlib import Path

import dynamo
from dynamo.engines.base import BACKGROUND, BACKGROUND_PATIENCE, RunFolder
from dynamo.engines.condor.holds import PASSING_HOLDS, WAITING_HOLDS
from dynamo.engines.condor.options import CondorOptions
from dynamo.engines.condor.pegasus_records import SITE, transformation
from dynamo.engines.condor.track import MAX_STARTS
from dynamo.engines.condor.worker import BROUGHT_BACK, YIELDING
from dynamo.errors import UsageError
from dynamo.workflows.model import Plan, Task

#: The job event log of a run, shared by all its jobs.
EVENT_LOG = "condor.log"
#: The job attribute that identifies a run's jobs.
TAG = "DynamoRun"
#: The job attribute with the run's folder, to find jobs of earlier attempts.
FOLDER = "DynamoFolder"
#: If nobody watches the run, release a transient hold at most this many times, each after the delay below.
MAX_HOLDS = 3
_RELEASE_AFTER_S = 60
_LIMIT_GRACE_S = 60
_LEASE_S = 60


def describe_task(folder: RunFolder, plan: Plan, task: Task, *, tag: str, options: CondorOptions, retries: int) -> str:
    """Return the submit description of ``task`` as text.

    Parameters
    ----------
    folder, plan, task
        The run and the task.
    tag
        Value of the job attribute ``DynamoRun``.
    options
        The engine's options.
    retries
        How many times HTCondor itself retries a failed job; 0 under DAGMan, which does its own retries.

    Raises
    ------
    UsageError
        If the run folder's path cannot be expressed in a submit description.
    """
    inputs = _reads(plan, task)
    background = plan.priority <= BACKGROUND
    limit_s = task.resources.max_seconds * (BACKGROUND_PATIENCE if background else 1)
    worker = f"-m dynamo.engines.condor.worker {task.id} {limit_s}{f' {YIELDING}' if background else ''}"
    commands: dict[str, str] = {
        "universe": "container" if options.container else "vanilla",
        "executable": literal(options.executable),
        "transfer_executable": "False",
        "arguments": f'"{options.first_argument}{worker}"',
        "environment": environment({"PYTHONPATH": str(Path(dynamo.__file__).parents[1])}),
        "initialdir": literal(folder.root),
        "output": f"logs/{task.id}.out",
        "error": f"logs/{task.id}.err",
        # As it comes: a worker that is lost takes nothing along that was written.
        "stream_output": "True",
        "stream_error": "True",
        "log": literal(folder.root / EVENT_LOG),
        "should_transfer_files": options.should_transfer,
        "request_cpus": str(task.resources.cpus),
        "request_memory": f"{task.resources.memory_mb}MB",
        "request_disk": f"{task.resources.disk_mb}MB",
        # The worker itself kills a task at its limit; this is the fallback (HTCondor checks once a minute). Time in
        # the queue does not count, nor does an attempt lost with its worker.
        "allowed_execute_duration": str(limit_s + _LIMIT_GRACE_S),
        # A worker or queue unreachable for longer is given up, and the task restarts elsewhere. HTCondor's default of
        # 40 minutes would leave a run of seconds waiting for a restarted pool.
        "job_lease_duration": str(_LEASE_S),
        "priority": str(plan.priority),
        "batch_name": literal(f"{plan.name} {folder.root.name}"),
        "notification": "Never",
        "periodic_release": f"JobStatus == 5 && {_one_of(PASSING_HOLDS)} && NumHolds < {MAX_HOLDS} "
        f"&& time() - EnteredCurrentStatus > {_RELEASE_AFTER_S}",
        "periodic_remove": f"JobStatus == 5 && !{_one_of(WAITING_HOLDS)} "
        f"&& (!{_one_of(PASSING_HOLDS)} || NumHolds >= {MAX_HOLDS}) "
        f"|| JobStatus == 1 && NumShadowStarts - NumJobCompletions >= {MAX_STARTS}",
    }
    if options.container:
        commands["container_image"] = literal(options.container)
        # The image has its own DyNamo.
        del commands["environment"]
        if Path(options.container).is_dir():
            # A root folder is used where it is, on a disk that workers share.
            commands["transfer_container"] = "False"
    if options.should_transfer != "NO":
        commands |= {
            "transfer_input_files": ", ".join([f"tasks/{task.id}.json", *(f"work/{lfn}" for lfn in inputs)]),
            "transfer_output_files": ", ".join(BROUGHT_BACK),
            "preserve_relative_paths": "True",
            "when_to_transfer_output": "ON_EXIT",
        }
    needs = options.needs(plan.name)
    if needs is not None:
        commands["requirements"] = needs
    if retries:
        commands["max_retries"] = str(retries)
    commands |= {name: literal(value) for name, value in options.submit.items()}
    attributes = {TAG: tag, FOLDER: str(folder.root), "DynamoTask": task.id, **pegasus_attributes(plan, task, tag)}
    lines = [f"{name} = {value}" for name, value in commands.items()]
    lines += [f"+{name} = {value if isinstance(value, int) else quote(value)}" for name, value in attributes.items()]
    return "\n".join([*lines, "queue", ""])


def pegasus_attributes(plan: Plan, task: Task, tag: str) -> dict[str, str | int]:
    """Return the job attributes by which `pegasus-monitord` identifies a job."""
    first = plan.by_id[task.jobs[0]]
    single = len(task.jobs) == 1
    return {
        "pegasus_wf_name": f"{plan.name}-0",
        "pegasus_wf_uuid": tag,
        "pegasus_wf_dax_job_id": first.id if single else "null",
        "pegasus_wf_xformation": transformation(first.module, None) if single else "pegasus::clustered",
        "pegasus_job_class": 1,
        "pegasus_site": SITE,
        "pegasus_cores": task.resources.cpus,
        "pegasus_memory_mb": task.resources.memory_mb,
    }


def literal(value: object) -> str:
    """Return text escaped so that a submit description yields it unchanged.

    Raises
    ------
    UsageError
        If that is impossible (line breaks).
    """
    text = str(value)
    if not text.isprintable() or text != text.strip():
        raise UsageError(
            "HTCondor cannot express this name", where=repr(text), expected="no line breaks or outer spaces"
        )
    return text.replace("$", "$(DOLLAR)")


def quote(text: str) -> str:
    """Return a ClassAd string."""
    return '"' + literal(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def environment(variables: dict[str, str]) -> str:
    """Return an environment in HTCondor's quoted form: spaces inside single quotes, quotes doubled."""
    words = ("'" + f"{name}={literal(value)}".replace("'", "''") + "'" for name, value in variables.items())
    return '"' + " ".join(words).replace('"', '""') + '"'


def _reads(plan: Plan, task: Task) -> list[str]:
    inside = set(task.jobs)
    reads: dict[str, None] = {}
    for name in task.jobs:
        for lfn in plan.by_id[name].reads:
            if plan.writers.get(lfn) not in inside:
                reads[lfn] = None
    return list(reads)


def _one_of(codes: frozenset[int]) -> str:
    return f"member(HoldReasonCode, {{{', '.join(map(str, sorted(codes)))}}})"
