"""`dynamo submit`: run a workflow once, on request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_engines, complete_workflows
from dynamo.cli.console import err, out, print_json, progress
from dynamo.cli.given import given_files, given_values
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
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
    from dynamo.api.access.neighbors import own_name
    from dynamo.config.file import find_config
    from dynamo.runs.setup import make_service
    from dynamo.runs.submitting.apart import detach
    from dynamo.runs.submitting.requesting import request_run, submit_run

    settings = find_config(config)
    service = make_service(settings)
    try:
        files, values = given_files(inputs), given_values(params, "--param")
        request = request_run(service, workflow, files, values, engine or settings.runs.engine)
        request = replace(request, owner=own_name())
        run, before = submit_run(service, request, force=force)
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
    from dynamo.runs.submitting.apart import release_guard, start_guard

    if run.state in FINAL:
        return run
    guard = start_guard(run, config, out_dir)
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
        release_guard(guard)
        raise
    release_guard(guard)
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
