"""Run folders that Pegasus's own tools can read: monitord --replay, statistics, analyzer, status.

Requirements are taken from Pegasus 5.1 (``Pegasus/monitoring/workflow.py``, ``Pegasus/db/workflow_loader.py``):
``braindump.yml``, the static events ``NAME-0.static.bp``, ``NAME-0.notify``, a properties file, the DAG, and DAGMan's
log. A run submitted as a single job had no DAGMan: its log is reconstructed from the job's own events in DAGMan's
format, and says so.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Iterable, Iterator
from datetime import datetime

import dynamo
from dynamo.engines.base import RunFolder
from dynamo.engines.condor.dag import dag_file
from dynamo.engines.condor.pegasus_records import transformation
from dynamo.engines.condor.track import ABORTED, EVICTED, EXECUTE, HELD, RELEASED, SUBMIT, TERMINATED, JobEvent
from dynamo.files import write_text
from dynamo.times import to_iso
from dynamo.workflows.model import Layout, Plan

BRAINDUMP = "braindump.yml"
PROPERTIES = "pegasus.properties"
#: The planner version whose formats these are.
PLANNER_VERSION = "5.1.3"
_COMPUTE = "1"
#: DAGMan's event names.
_EVENTS = {
    SUBMIT: "SUBMIT",
    EXECUTE: "EXECUTE",
    EVICTED: "JOB_EVICTED",
    TERMINATED: "JOB_TERMINATED",
    ABORTED: "JOB_ABORTED",
    HELD: "JOB_HELD",
    RELEASED: "JOB_RELEASED",
}


def write_rundir(folder: RunFolder, plan: Plan, layout: Layout, *, identity: str, planned: datetime) -> None:
    """Write the static files into the run folder.

    Parameters
    ----------
    folder, plan, layout
        The run.
    identity
        The workflow's UUID.
    planned
        Time the run was planned.
    """
    name = dag_file(plan).removesuffix(".dag")
    root = folder.root
    write_text(root / f"{name}.static.bp", static_events(plan, layout, identity=identity, planned=planned))
    write_text(root / f"{name}.notify", "")
    database = f"sqlite:///{root / f'{name}.stampede.db'}"
    write_text(root / PROPERTIES, f"pegasus.catalog.workflow.url={database}\npegasus.monitord.output={database}\n")
    facts = {
        "user": _user(),
        "grid_dn": None,
        "submit_hostname": socket.gethostname(),
        "root_wf_uuid": identity,
        "wf_uuid": identity,
        "dax": str(root / "plan.json"),
        "dax_label": plan.name,
        "dax_index": "0",
        "dax_version": "5.0.4",
        "pegasus_wf_name": name,
        "timestamp": f"{planned:%Y%m%dT%H%M%S}+0000",
        "basedir": str(root.parent),
        "submit_dir": str(root),
        "planner": f"dynamo {dynamo.__version__}",
        "planner_version": PLANNER_VERSION,
        "planner_arguments": "",
        "pegasus_build": "none",
        "jsd": str(root / "jobstate.log"),
        "rundir": root.name,
        "bindir": "/usr/bin",
        "vogroup": "dynamo",
        "uses_pmc": False,
        "properties": PROPERTIES,
        "condor_log": f"{name}.log",
        "dag": f"{name}.dag",
        "type": "dag",
        "notify": f"{name}.notify",
        "script": None,
    }
    write_text(root / BRAINDUMP, "".join(f"{key}: {_yaml(value)}\n" for key, value in facts.items()))


def static_events(plan: Plan, layout: Layout, *, identity: str, planned: datetime) -> str:
    """Return the planner's events for monitoring: tasks, jobs, their edges, and the mapping of tasks to jobs.

    The loader needs all jobs before the first mapping.
    """
    time = to_iso(planned)

    def lines() -> Iterator[str]:
        for job in plan.ordered:
            name = transformation(job.module, None)
            yield _event("task.info", task=job.id, transformation=name, argv="", type=_COMPUTE, type_desc="compute")
        for job in plan.ordered:
            for parent in sorted(plan.parents[job.id]):
                yield _event("task.edge", parent_task=parent, child_task=job.id)
        for task in layout.tasks:
            yield _event(
                "job.info",
                job=task.id,
                submit_file=f"logs/{task.id}.sub",
                type=_COMPUTE,
                type_desc="compute",
                clustered=str(int(len(task.jobs) > 1)),
                max_retries=str(max(plan.by_id[name].retries for name in task.jobs)),
                executable="python",
                argv=task.id,
                task_count=str(len(task.jobs)),
            )
        for task in layout.tasks:
            for parent in task.parents:
                yield _event("job.edge", parent_job=parent, child_job=task.id)
        for task in layout.tasks:
            for name in task.jobs:
                yield _event("wf.map.task_job", task=name, job=task.id)

    return "".join(f"ts={time} event={line} level=Info xwf.id={identity}\n" for line in lines())


def dagman_log(plan: Plan, layout: Layout, events: Iterable[JobEvent], *, exit_code: int) -> str:
    """Return the log DAGMan would have written for a single-job run.

    Parameters
    ----------
    plan, layout
        The run; the layout has one task.
    events
        The job's events, in order.
    exit_code
        0 if the run succeeded, else 1.
    """
    dag, node = dag_file(plan), layout.tasks[0].id
    told = list(events)
    if not told:
        return ""
    cluster = told[0].cluster
    start, end = _stamp(told[0].time), _stamp(told[-1].time)
    lines = [
        f"{start} Written by DyNamo {dynamo.__version__} from the events of job {cluster}.0; no DAGMan ran",
        f"{start} ** condor_scheduniv_exec.{cluster}.0 (CONDOR_DAGMAN) STARTING UP",
        f"{start} ** $CondorVersion: 23.9.6 as told by DyNamo $",
        f"{start} Parsing 1 dagfiles",
        f"{start} Parsing {dag} ...",
        f"{start} Submitting HTCondor Node {node} job(s)...",
    ]
    for event in told:
        if event.kind not in _EVENTS:
            continue
        at, job = _stamp(event.time), f"{event.cluster}.{event.proc}.0"
        lines.append(f"{at} Event: ULOG_{_EVENTS[event.kind]} for HTCondor Node {node} ({job}) {{{at}}}")
        if event.kind == HELD:
            lines.append(f"{at}   Hold reason: {event.text('HoldReason')}")
        if event.kind == TERMINATED:
            normally = event.data.get("TerminatedNormally")
            code = int(event.data.get("ReturnValue" if normally else "TerminatedBySignal", 1))
            outcome = (
                "completed successfully."
                if normally and code == 0
                else f"failed with {'status' if normally else 'signal'} {code}."
            )
            lines.append(f"{at} Node {node} job proc ({job}) {outcome}")
        if event.kind == ABORTED:
            lines.append(f"{at} Node {node} job proc ({job}) failed with status -1.")
    lines += [f"{end} {line}" for line in _counts(succeeded=exit_code == 0)]
    lines.append(f"{end} **** condor_scheduniv_exec.{cluster}.0 (condor_DAGMAN) pid 0 EXITING WITH STATUS {exit_code}")
    return "\n".join([*lines, ""])


def _counts(*, succeeded: bool) -> tuple[str, ...]:
    """Return DAGMan's last table of node counts, which pegasus-status reads, for its only node."""
    return (
        "DAG status: 0 (DAG_STATUS_OK)" if succeeded else "DAG status: 2 (DAG_STATUS_NODE_FAILED)",
        "Of 1 nodes total:",
        " Done     Pre   Queued    Post   Ready   Un-Ready   Failed",
        "  ===     ===      ===     ===     ===        ===      ===",
        f"{int(succeeded):5}       0        0       0       0          0 {int(not succeeded):8}",
    )


def _event(event: str, **values: str) -> str:
    # Keywords cannot contain dots: task and job (with parent_ and child_) are ids.
    ids = {"task", "job", "parent_task", "child_task", "parent_job", "child_job"}
    parts = [f'{key.replace("_", ".") + ".id" if key in ids else key}="{value}"' for key, value in values.items()]
    return f"{event} {' '.join(parts)}"


def _stamp(time: datetime) -> str:
    # DAGMan logs local time, and monitord reads it as such.
    return f"{time.astimezone():%m/%d/%y %H:%M:%S}"


def _yaml(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
