"""`dynamo submit`: run a workflow once, on request."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_engines, complete_workflows
from dynamo.cli.console import err, out, print_json, progress
from dynamo.cli.given import given_files, given_values, require_files
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.config.file import Config
    from dynamo.runs.ledger import RunRequest
    from dynamo.runs.service import RunService
    from dynamo.store.models import Run

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit")(submit)


def submit(
    workflow: str = typer.Argument(
        help="Workflow document, Pegasus workflow, or template name.", autocompletion=complete_workflows
    ),
    inputs: list[str] = typer.Option([], "--input", "-i", metavar="NAME=PATH", help="Input file (repeatable)."),
    params: list[str] = typer.Option(
        [], "--param", "-p", metavar="NAME=VALUE", help="Parameter (repeatable); 35,45 for lists."
    ),
    engine: str | None = typer.Option(
        None, "--engine", "-e", help="local, condor, pegasus or an installed engine.", autocompletion=complete_engines
    ),
    out_dir: Path | None = typer.Option(None, "--out", "-o", help="Also copy the products here."),
    wait: bool = typer.Option(False, "--wait", help="Wait until the run finishes. Default: run it in the background."),
    force: bool = typer.Option(
        False, "--force", help="Make the products again even if they are there; the earlier ones stay, superseded."
    ),
    config: Path | None = ConfigOption,
    as_json: bool = typer.Option(False, "--json", help="Print the run as JSON."),
) -> None:
    """Submit one run of a workflow.

    The same workflow with the same inputs and parameters is the same run: submitting it again does not repeat it.
    Without --wait, a background process executes the run; `dynamo runs show` reports its state.

    Exit codes: 0 submitted (with --wait: published); 3 bad input; 4 no such file or workflow; 6 the run failed, was
    canceled or skipped.
    """
    from dynamo.config.file import find_config
    from dynamo.runs.service import has_products, products_state
    from dynamo.runs.setup import make_service
    from dynamo.runs.states import RETRIED

    settings = find_config(config)
    service = make_service(settings)
    try:
        request = _request(service, settings, workflow, given_files(inputs), given_values(params, "--param"), engine)
        request = _last_request(service, request, force=force)
        run, new = service.create(request)
        before = "" if new else "already run"
        if not new and run.state in RETRIED:
            before = "run again"
            run = service.retry(run.id, "submitted again", request)
        elif not new and run.state == "succeeded" and not has_products(run):
            before = "run again"
            run = service.retry(run.id, f"submitted again, its products are {products_state(run)}", request)
        if not wait:
            if run.state == "succeeded":
                finish(run, out_dir)
            else:
                detach(run, config, out_dir)
            _report(service, run, before, out_dir, as_json)
            return
        _check_engine(service, run)
        run = execute_and_show(service, run, config, out_dir, quiet=as_json)
        if as_json:
            # Before any failure is raised: a program must see how the run ended either way.
            _report(service, run, before, out_dir, as_json)
        finish(run, out_dir)
        if not as_json:
            _report(service, run, before, out_dir, as_json)
    finally:
        service.close()
        service.store.close()


def _last_request(service: RunService, request: RunRequest, *, force: bool) -> RunRequest:
    """Return the request as it was made last; with ``force`` the next one, unless that one is not over yet."""
    from dataclasses import replace

    from dynamo.runs.ledger import newest_of

    with service.store.reading() as session:
        last, run = newest_of(session, request)
    return replace(last, again=last.again + 1) if force and run is not None and run.state == "succeeded" else last


def _check_engine(service: RunService, run: Run) -> None:
    """Fail at once if the engine is unavailable: a daemon waits for an absent pool, a user should not have to."""
    from dynamo.errors import DynamoError
    from dynamo.runs.states import WAITING

    if run.state not in WAITING:
        return
    try:
        service.engine(run.engine)
    except DynamoError as error:
        service.cancel(run.id, str(error))
        raise


def execute_and_show(
    service: RunService, run: Run, config: Path | None, out_dir: Path | None = None, *, quiet: bool = False
) -> Run:
    """Execute a run to completion, or follow the process that does; show progress on a terminal.

    If this process is interrupted or killed, another one goes on in the background.
    """
    from dynamo.runs.states import FINAL

    if run.state in FINAL:
        return run
    guard = _guard(run, config, out_dir)
    try:
        ended = _execute_and_show(service, run, quiet)
    except KeyboardInterrupt:
        err.print(
            f"run {run.id} goes on in the background; follow it with `dynamo runs show {run.id}`, "
            f"stop it with `dynamo runs cancel {run.id}`",
            markup=False,
        )
        raise typer.Exit(_INTERRUPTED) from None
    except BaseException:
        _release(guard)
        raise
    _release(guard)
    return ended


def _execute_and_show(service: RunService, run: Run, quiet: bool) -> Run:
    import time

    from dynamo.runs.states import FINAL

    with progress() as bar:
        bar.disable = quiet or not err.is_terminal
        task = bar.add_task(f"{run.workflow} {run.id}", total=None)

        told = ""

        def waits(reason: str) -> None:
            nonlocal told
            if reason and reason != told and not quiet:
                err.print(f"run {run.id} waits: {reason}", markup=False)
            told = reason

        def follow(event: Any) -> None:
            if event.subject != run.id:
                return
            if event.kind == "run_state":
                bar.update(task, description=f"{run.workflow} {run.id}: {event.data['state']}")
                if event.data["state"] == "held":
                    waits(event.data["reason"])
            elif event.kind == "run_waits":
                waits(event.data["reason"])
            elif event.kind == "job_progress":
                bar.update(task, completed=event.data["done"], total=event.data["total"])

        unsubscribe = service.events.subscribe(follow)
        try:
            while True:
                ended = service.execute(run.id)
                if ended is None:
                    # Another process is executing it: the daemon, or an earlier submission.
                    time.sleep(0.1)
                    ended = service.get(run.id)
                    bar.update(task, description=f"{run.workflow} {run.id}: {ended.state} (in another process)")
                if ended.state in FINAL:
                    return ended
                waits(ended.reason)
        finally:
            unsubscribe()


def finish(run: Run, out_dir: Path | None) -> None:
    """Export the products of a run; raise `RunFailedError` with the reason if it has none."""
    from dynamo.errors import RunFailedError
    from dynamo.runs.publish import export
    from dynamo.runs.service import publication_of

    if run.state != "succeeded":
        raise RunFailedError(
            f"{run.state}: {run.reason or 'no reason recorded'}",
            where=f"run {run.id}",
            hint=f"dynamo runs logs {run.id}",
        )
    publication = publication_of(run)
    if publication is None:
        raise RunFailedError("its products are gone", where=run.product_dir, hint=f"dynamo runs retry {run.id}")
    if out_dir is not None:
        export(publication, out_dir)


def detach(run: Run, config: Path | None, out_dir: Path | None = None) -> None:
    """Start a process that executes the run and outlives this one."""
    _start_apart(run, _work(run, config, out_dir), subprocess.DEVNULL)


def _guard(run: Run, config: Path | None, out_dir: Path | None) -> subprocess.Popen[bytes]:
    """Start a process that executes the run if this one ends without having released it."""
    from dynamo.runs.execution import guard

    return _start_apart(run, ["-m", guard.__name__, *_work(run, config, out_dir)], subprocess.PIPE)


def _release(guard: subprocess.Popen[bytes]) -> None:
    from dynamo.runs.execution.guard import DONE

    with contextlib.suppress(OSError):
        guard.communicate(DONE)


def _work(run: Run, config: Path | None, out_dir: Path | None) -> list[str]:
    """Return the arguments with which Python executes the run."""
    command = ["-m", "dynamo", "runs", "work", run.id]
    if config is not None:
        command += ["--config", str(config.absolute())]
    if out_dir is not None:
        command += ["--out", str(out_dir.absolute())]
    return command


def _start_apart(run: Run, arguments: list[str], stdin: int) -> subprocess.Popen[bytes]:
    """Start Python in a session of its own, so that no signal to this terminal reaches it."""
    from dynamo.files import private_file, private_folder

    folder = Path(run.run_dir)
    with contextlib.ExitStack() as opened:
        log: IO[bytes] | int = subprocess.DEVNULL
        with contextlib.suppress(OSError):
            # A disk that takes no log now is waited out by whoever executes the run.
            private_folder(folder)
            private_file(folder / "runner.log")
            log = opened.enter_context((folder / "runner.log").open("ab"))
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=stdin,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )


def _environment() -> dict[str, str]:
    """Make the detached process use this copy of DyNamo, installed or not."""
    import dynamo

    root = str(Path(dynamo.__file__).parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}


def _request(
    service: RunService,
    settings: Config,
    name: str,
    inputs: dict[str, list[str]],
    params: dict[str, str],
    engine: str | None,
) -> Any:
    from dynamo.doors import ENGINES
    from dynamo.errors import InputError, UsageError
    from dynamo.files import sha256_file
    from dynamo.formats.sounding import read_sounding
    from dynamo.inspection.process import inspect_port
    from dynamo.runs.ledger import InputFile, RunRequest

    engine = engine or settings.runs.engine
    ENGINES.load(engine)
    workflow = service.planner.load(name)
    inputs = {**{port: [str(path)] for port, path in workflow.replicas.items()}, **inputs}
    unknown = sorted(set(inputs) - set(workflow.inputs))
    missing = sorted(set(workflow.inputs) - workflow.optional - set(inputs))
    if unknown or missing:
        what = f"unknown input {unknown[0]!r:.60}" if unknown else f"missing input {missing[0]}"
        expected = ", ".join(f"--input {port}=PATH" for port in workflow.inputs) or "no inputs"
        raise InputError(what, where=workflow.name, expected=expected)
    parameters = service.planner.parameters(workflow, params)
    files, times, radars = [], [], set()
    for port, texts in inputs.items():
        paths = [Path(text).absolute() for text in texts]
        if len(paths) > 1 and port not in workflow.many:
            raise UsageError(f"{port} given {len(paths)} times", where="--input", expected="one file")
        require_files(paths, f"a file in format {workflow.inputs[port]}")
        facts = inspect_port(workflow.inputs[port], paths, ())
        for path in paths:
            known = path.stat()
            if workflow.inputs[port] == "sounding":
                # A trigger's run falls back on the configured heights; whoever names a file now wants that file.
                read_sounding(path)
            files.append(InputFile(port, path, sha256_file(path), known.st_size, known.st_mtime_ns))
        if facts is not None:
            times.append(facts.issue_time)
            radars.add(facts.radar)
    return RunRequest(
        workflow=workflow,
        inputs=tuple(files),
        parameters=parameters,
        engine=engine,
        trigger="submit",
        origin="submit",
        radar=radars.pop() if len(radars) == 1 else "",
        priority=workflow.priority,
        valid_at=max(times, default=None),
    )


def _report(service: RunService, run: Run, before: str, out_dir: Path | None, as_json: bool) -> None:
    from dynamo.runs.ledger import decisions_about
    from dynamo.runs.record import last_branch, run_json, skipped_json
    from dynamo.texts import counted

    with service.store.reading() as session:
        decisions = decisions_about(session, run.id)
    remarks = [item.reason for item in decisions if item.action == "remark"]
    if as_json:
        print_json({**run_json(run), "new": not before, "remarks": remarks, "skipped": skipped_json(decisions)})
    elif run.state == "succeeded":
        note = f" ({before})" if before else ""
        branch = last_branch(decisions)
        jobs = counted(run.jobs_done, "job") if branch is None else branch.reason
        copied = f", copied to {out_dir}" if out_dir is not None else ""
        out.print(f"run {run.id} succeeded{note}: {jobs}, products in {run.product_dir}{copied}", markup=False)
    else:
        goal = f"; products will be copied to {out_dir}" if out_dir is not None else ""
        out.print(f"run {run.id} {run.state}{goal}; follow it with: dynamo runs show {run.id}", markup=False)
    for remark in [] if as_json else remarks:
        err.print(f"warning: {remark}", markup=False, soft_wrap=True)
