"""`dynamo pool`: a personal HTCondor pool on this machine."""

from __future__ import annotations

from pathlib import Path

import typer

from dynamo.cli.console import err, out, print_json, progress
from dynamo.cli.tables import located, named, print_table, worded
from dynamo.texts import counted

pool = typer.Typer(no_args_is_help=True, help="Run a personal HTCondor pool on this machine.")

_Prefix = typer.Option(
    None, "--prefix", envvar="DYNAMO_HTCONDOR_PREFIX", help="Folder of a rootless HTCondor installation."
)
_State = typer.Option(None, "--state-dir", envvar="DYNAMO_POOL_DIR", help="Folder for the pool's own files.")
_Json = typer.Option(False, "--json", help="Print JSON.")


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(pool, name="pool")


@pool.command()
def install(
    prefix: Path | None = _Prefix,
    containers: bool = typer.Option(False, "--containers", help="Also find or install Apptainer, for container jobs."),
    as_json: bool = _Json,
) -> None:
    """Find or install HTCondor: the system's, the Debian package, or a private folder."""
    from dynamo.pool.install.installation import install as install_htcondor
    from dynamo.pool.install.runtime import install_runtime

    with progress() as display:
        tasks = {}

        def report(stage: str, done: float, total: float) -> None:
            if stage not in tasks:
                tasks[stage] = display.add_task(stage, total=total)
            display.update(tasks[stage], completed=round(done), total=total)

        found, new = install_htcondor(prefix, report)
        tasks.clear()
        runtime, fresh = install_runtime(found, prefix, report) if containers else (None, False)
    if as_json:
        told = {"origin": found.origin, "release": str(found.release), "version": found.version, "new": new}
        brought = runtime and {
            "origin": runtime.origin,
            "program": str(runtime.program),
            "version": runtime.version,
            "new": fresh,
        }
        print_json({**told, "containers": brought} if containers else told)
        return
    done = "installed" if new else "already installed"
    out.print(f"HTCondor {found.version} ({found.origin}) {done}: {found.release}", markup=False)
    if runtime:
        done = "installed" if fresh else "already installed"
        out.print(f"Apptainer {runtime.version} ({runtime.origin}) {done}: {runtime.program}", markup=False)
        out.print("a pool that is up has it after `dynamo pool down` and `dynamo pool up`", markup=False)


@pool.command()
def up(
    slots: int = typer.Option(2, "--slots", min=1, help="Number of one-core slots."),
    state_dir: Path | None = _State,
    prefix: Path | None = _Prefix,
    as_json: bool = _Json,
) -> None:
    """Start the pool and wait until it accepts jobs."""
    from dynamo.pool.control import up as start

    record, new = start(slots=slots, state=state_dir, prefix=prefix, tell=lambda text: err.print(text, markup=False))
    if as_json:
        print_json({"config": record.config, "state_dir": record.state, "slots": record.slots, "new": new})
        return
    done = "is up" if new else "was already up"
    out.print(
        f"the pool {done}: HTCondor {record.version}, {counted(record.slots, 'slot')}; to use HTCondor's own tools:"
    )
    out.print(f"export CONDOR_CONFIG={_shell(record.config)} PATH={_shell(record.bin)}:$PATH", markup=False)


@pool.command()
def status(state_dir: Path | None = _State, as_json: bool = _Json) -> None:
    """Show daemons, slots and jobs. Exit code 0 if the pool is up, 5 if not."""
    from dynamo.pool.report import pool_status

    found = pool_status(state_dir)
    if as_json:
        print_json(found)
    elif found["state"] == "up":
        out.print(
            f"up since {found['started']}: HTCondor {found['version']}, {counted(found['capacity'], 'slot')}",
            markup=False,
        )
        out.print(f"CONDOR_CONFIG={found['config']}", markup=False)
        containers = found["containers"] or "no runtime; see `dynamo pool install --containers`"
        out.print(f"containers: {containers}", markup=False)
        print_table("daemons", [named("name"), "pid"], [(d["name"], d["pid"]) for d in found["daemons"]])
        columns = ["name", "state", "activity", "cpus", "memory_mb"]
        print_table(
            "slots", [named("name"), *columns[1:]], [[slot[column] for column in columns] for slot in found["slots"]]
        )
        columns = ["id", "state", "batch", "command", "reason"]
        print_table(
            "jobs",
            ["id", "state", "batch", located("command"), worded("reason")],
            [[job[column] for column in columns] for job in found["jobs"]],
        )
    else:
        ended = " (it stopped without `dynamo pool down`)" if found["state"] == "dead" else ""
        out.print(f"down{ended}; start it with `dynamo pool up`", markup=False)
    if found["state"] != "up":
        raise typer.Exit(5)


@pool.command()
def down(state_dir: Path | None = _State, as_json: bool = _Json) -> None:
    """Stop the pool's daemons and running jobs; queued jobs stay for the next `up`."""
    from dynamo.pool.control import down as stop

    record = stop(state_dir)
    if as_json:
        print_json({"stopped": record is not None})
    else:
        out.print("the pool is down" if record is not None else "no pool was up")


def _shell(text: str) -> str:
    import shlex

    return shlex.quote(text)
