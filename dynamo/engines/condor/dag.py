"""A run as a DAG for HTCondor's DAGMan: the DAG file, and the DAGMan job itself."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from dynamo.engines.base import RunFolder
from dynamo.engines.condor.description import EVENT_LOG, FOLDER, TAG, environment, literal, quote
from dynamo.errors import MissingPartError, UsageError
from dynamo.workflows.model import Layout, Plan

#: Overrides for pools configured to wait longer: DAGMan scans node events once a second (0 would hang it), submits
#: everything that is ready at once, and accepts a run folder under a temporary directory.
SETTINGS: Mapping[str, str] = {
    "DAGMAN_USER_LOG_SCAN_INTERVAL": "1",
    "DAGMAN_MAX_SUBMITS_PER_INTERVAL": "100",
    "DAGMAN_USE_DIRECT_SUBMIT": "True",
    "DAGMAN_USE_STRICT": "0",
}
#: DAGMan exited on its own (or crashed with a fault that would recur); otherwise the schedd restarts it.
_ENDED = "(ExitSignal =?= 11 || (ExitCode =!= UNDEFINED && ExitCode >=0 && ExitCode <= 2))"


def dag_file(plan: Plan) -> str:
    """Return the name of the DAG file; ``-0`` because Pegasus numbers a document's workflows."""
    return f"{plan.name}-0.dag"


def dag_text(plan: Plan, layout: Layout) -> str:
    """Return the DAG; every task is a node."""
    lines = [f"# {plan.name} {plan.version}: {layout.reason}"]
    lines += [f"JOB {task.id} logs/{task.id}.sub" for task in layout.tasks]
    for task in layout.tasks:
        if retries := max(plan.by_id[name].retries for name in task.jobs):
            lines.append(f"RETRY {task.id} {retries}")
    lines += [f"PARENT {' '.join(task.parents)} CHILD {task.id}" for task in layout.tasks if task.parents]
    return "\n".join([*lines, ""])


def describe_dagman(folder: RunFolder, plan: Plan, *, tag: str) -> str:
    """Return the submit description for the run's DAGMan job.

    Raises
    ------
    MissingPartError
        If the configured HTCondor has no DAGMan.
    UsageError
        If DAGMan would misread the run folder's path.
    """
    import htcondor2

    if "$(" in str(folder.root):
        # DAGMan expands the path of its log a second time.
        raise UsageError("DAGMan cannot work in a folder with $( in its path", where=folder.root)

    binary = _dagman()
    dag = dag_file(plan)
    version = htcondor2.version().replace(" ", "' '")
    commands = {
        "universe": "scheduler",
        "executable": literal(binary),
        "getenv": "CONDOR_CONFIG,_CONDOR_*,PATH,HOME,USER,LANG,LC_ALL,TZ",
        "initialdir": literal(folder.root),
        "output": f"{dag}.lib.out",
        "error": f"{dag}.lib.err",
        "log": literal(folder.root / EVENT_LOG),
        "remove_kill_sig": "SIGUSR1",
        "on_exit_remove": _ENDED,
        "arguments": f'"-f -l . -Lockfile {dag}.lock -Dag {dag} -CsdVersion {version} '
        f'-AutoRescue 1 -DoRescueFrom 0 -Suppress_notification -dagman {_argument(binary)}"',
        "environment": environment(
            {
                "_CONDOR_DAGMAN_LOG": f"{dag}.dagman.out",
                "_CONDOR_MAX_DAGMAN_LOG": "0",
                # A settings file could not have a $ in its path.
                **{f"_CONDOR_{name}": value for name, value in SETTINGS.items()},
            }
        ),
        "priority": str(plan.priority),
        "batch_name": literal(f"{plan.name} {folder.root.name}"),
        "notification": "Never",
        "My.OtherJobRemoveRequirements": '"DAGManJobId =?= $(cluster)"',
        "My.IsDaemonCore": "True",
        f"+{TAG}": quote(tag),
        f"+{FOLDER}": quote(str(folder.root)),
    }
    return "\n".join([*(f"{name} = {value}" for name, value in commands.items()), "queue", ""])


def done_nodes(folder: RunFolder, plan: Plan) -> frozenset[str]:
    """Return the nodes that DAGMan will not run again: those its newest rescue DAG marks done."""
    rescues = sorted(folder.root.glob(f"{dag_file(plan)}.rescue*"))
    lines = rescues[-1].read_text(errors="replace").splitlines() if rescues else []
    return frozenset(words[1] for line in lines if len(words := line.split()) > 1 and words[0] == "DONE")


def clear_attempt(folder: RunFolder, plan: Plan, *, same_dag: bool) -> None:
    """Remove files that would make DAGMan mistake a new attempt for a continuing one.

    A rescue DAG for the same DAG stays: DAGMan skips the nodes it marks done.
    """
    dag = dag_file(plan)
    stale = [folder.root / f"{dag}.lock", folder.root / f"{dag}.nodes.log"]
    if not same_dag:
        stale += [*folder.root.glob(f"{dag}.rescue*"), folder.root / f"{dag}.dagman.out"]
    for path in stale:
        path.unlink(missing_ok=True)


def _dagman() -> Path:
    import htcondor2

    found = htcondor2.param.get("DAGMAN") or f"{htcondor2.param.get('BIN', '')}/condor_dagman"
    path = Path(str(found))
    if not path.is_file():
        other = shutil.which("condor_dagman")
        if other is None:
            raise MissingPartError("HTCondor's DAGMan is not installed", where=path, hint="install HTCondor's tools")
        path = Path(other)
    return path


def _argument(path: Path) -> str:
    return "'" + literal(path).replace("'", "''") + "'"
