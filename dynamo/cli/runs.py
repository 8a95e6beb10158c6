"""`dynamo runs`: list, inspect, cancel and retry runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.completion import complete_runs
from dynamo.cli.console import out, print_json
from dynamo.cli.options import (
    FeedOption,
    RadarOption,
    SinceOption,
    TriggerOption,
    WideOption,
    WorkflowOption,
    choose,
    state_option,
)
from dynamo.cli.stores import look, no_runs
from dynamo.cli.tables import Column, extra, named, print_table, worded
from dynamo.cli.watch import ConfigOption
from dynamo.runs.states import TRANSITIONS

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dynamo.runs.service import RunService
    from dynamo.store.models import Run

JsonOption = typer.Option(False, "--json", help="Print JSON.")
StateOption = state_option(TRANSITIONS)
RunArgument = typer.Argument(help="Run ID, or a unique prefix of it.", metavar="RUN", autocompletion=complete_runs)
_TAIL = 50
#: Said of an unfinished run whose process is gone.
_LEFT = "no process works on it: dynamo runs retry continues it"
#: Polling interval for a run that another process is executing, in seconds.
_LOOK_S = 0.2


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="List, show, cancel and retry runs.")
    group.command("list")(list_runs)
    group.command("show")(show)
    group.command("logs")(logs)
    group.command("provenance")(provenance)
    group.command("cancel")(cancel)
    group.command("retry")(retry)
    group.command("priority")(priority)
    group.command("work", hidden=True)(work)
    app.add_typer(group, name="runs")


def list_runs(
    config: Path | None = ConfigOption,
    state: list[str] = StateOption,
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    workflow: str | None = WorkflowOption,
    radar: str | None = RadarOption,
    limit: int = typer.Option(20, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List runs, newest first. Every command takes a run's ID, or its first characters if no other ID has them."""
    from sqlalchemy import select

    from dynamo.runs.record import latencies, run_json
    from dynamo.store.models import Run

    chosen = choose(
        since=since,
        feed=feed,
        trigger=trigger,
        workflow=workflow,
        radar=radar,
        states=state,
        known=TRANSITIONS,
    )
    query = select(Run).where(*chosen.of_runs()).order_by(Run.created_at.desc(), Run.id).limit(limit)
    if chosen.since is not None:
        query = query.where(Run.created_at >= chosen.since)
    store = look(config)
    with store.reading() as session:
        found = session.scalars(query).all()
        attended = {run.id: _attended(session, run) for run in found}
    store.close()
    if as_json:
        print_json([{**run_json(run), "attended": attended[run.id]} for run in found])
        return
    columns = (
        "run",
        named("workflow"),
        "valid",
        extra("radar"),
        "state",
        extra("jobs"),
        Column("trigger", wide=True),
        Column("owner", wide=True),
        Column("engine", wide=True),
        Column("created", wide=True),
        Column("total s", wide=True),
        worded("why"),
    )
    rows = [
        (
            run.id,
            run.workflow,
            run.valid_at,
            run.radar,
            run.state,
            f"{run.jobs_done}/{run.jobs_total}",
            run.trigger,
            run.owner,
            run.engine,
            run.created_at,
            round(total_s, 1) if (total_s := latencies(run).get("total_s")) is not None else None,
            _LEFT if attended[run.id] is False else run.reason,
        )
        for run in found
    ]
    empty = "" if found else chosen.none("runs", store.url, config) if chosen else no_runs(store, config)
    print_table("", columns, rows, empty=empty, whole=wide)


def show(
    name: str = RunArgument,
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Also show how its jobs were grouped, and why."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Show one run: times, jobs, products and decisions."""
    from dynamo.runs import ledger
    from dynamo.runs.record import decision_json, product_json, run_json, skipped_json
    from dynamo.runs.service import lost_products

    store = look(config)
    with store.reading() as session:
        run = ledger.find_run(session, name)
        attended = _attended(session, run)
        products = [product_json(item) for item in ledger.products_of(session, run.id)]
        decided = ledger.decisions_about(session, run.id)
        decisions = [decision_json(item) for item in decided]
        skipped = skipped_json(decided)
    store.close()
    data = run_json(run)
    if as_json:
        print_json({**data, "attended": attended, "skipped": skipped, "products": products, "decisions": decisions})
        return
    if attended is False:
        data["state"] = f"{run.state}, but {_LEFT}"
    rows: list[tuple[str, object]] = [
        (label, data[label])
        for label in ("id", "workflow", "version", "trigger", "owner", "engine", "state", "reason", "layout", "run_dir")
        if data[label] and (verbose or label != "layout")
    ]
    rows += [("input", f"{item['port']} = {item['path']}") for item in run.inputs]
    rows += [("parameter", f"{key} = {value}") for key, value in run.parameters.items()]
    rows.append(("jobs", f"{run.jobs_done} done, {run.jobs_failed} failed, {run.jobs_total} total"))
    rows += [("skipped", f"{job}: {reason}") for job, reason in skipped.items()]
    rows.append(("CPU", f"{run.cpu_s:.3f} s, {run.predicted_s:.3f} s predicted"))
    rows += [(key, value) for key, value in data["times"].items() if value]
    rows += [(key, value) for key, value in data["latencies"].items()]
    rows.append(("products", f"{len(products)} in {run.product_dir}" if run.product_dir else len(products)))
    if lost := lost_products(run):
        rows.append(("", lost))
    rows += [("decision", f"{item['time']} {item['action']}: {item['reason']}") for item in decisions]
    for label, value in rows:
        # Not a table: it would break paths and IDs.
        out.print(f"{label:10} {value}", markup=False)


def logs(
    name: str = RunArgument,
    config: Path | None = ConfigOption,
    follow: bool = typer.Option(False, "--follow", "-f", help="Print what jobs write as it comes, until the run ends."),
    full: bool = typer.Option(False, "--all", help="Print whole files, not just the tails."),
    as_json: bool = JsonOption,
) -> None:
    """Show results and logs of a run's jobs, failed jobs first."""
    from dynamo.engines.base import RunFolder
    from dynamo.engines.logs import log_files, read_log
    from dynamo.runs import ledger
    from dynamo.runs.results import read_results

    store = look(config)
    with store.reading() as session:
        run = ledger.find_run(session, name)
    store.close()
    folder = RunFolder(Path(run.run_dir))
    results = sorted(read_results(folder).values(), key=lambda item: bool(item.succeeded or item.skipped))
    if follow:
        _follow(config, run)
        return
    lines = None if full else _TAIL
    texts = {path.relative_to(folder.root).as_posix(): read_log(path, lines) for path in log_files(folder.root)}
    if as_json:
        jobs = [
            {
                "job": item.job,
                "module": item.module,
                "succeeded": item.succeeded,
                "skipped": item.skipped,
                "wall_s": item.wall_s,
                "cpu_s": item.cpu_s,
                "error": item.error,
                "metrics": item.metrics,
            }
            for item in results
        ]
        print_json({"run": run.id, "state": run.state, "reason": run.reason, "jobs": jobs, "files": texts})
        return
    if not results and not texts:
        out.print(f"run {run.id} is {run.state}; it has no logs (or they were cleaned up)", markup=False)
    for item in results:
        state = "succeeded" if item.succeeded else "skipped" if item.skipped else "FAILED"
        why = item.error or item.skipped
        out.print(f"{item.job} {item.module} {state} {item.wall_s:.3f} s {why}".rstrip(), markup=False)
    for file, text in texts.items():
        out.print(f"--- {file}", markup=False)
        out.print(text.rstrip("\n"), markup=False)


def _follow(config: Path | None, run: Run) -> None:
    """Print what a run's jobs write until it ends, each line with the name of its log."""
    import time

    from dynamo.engines.logs import Follower
    from dynamo.runs import ledger
    from dynamo.runs.states import FINAL

    follower = Follower(Path(run.run_dir))
    store = look(config)
    try:
        while True:
            # Asked before the look: what was written until the end is seen.
            with store.reading() as session:
                run = ledger.find_run(session, run.id)
            for file, line in follower.news(last=run.state in FINAL):
                out.print(f"{file}: {line}", markup=False, highlight=False, soft_wrap=True)
            if run.state in FINAL:
                break
            time.sleep(_LOOK_S)
    finally:
        store.close()
    reason = f": {run.reason}" if run.reason else ""
    out.print(f"run {run.id} {run.state}{reason}", markup=False)


def provenance(
    name: str = RunArgument,
    form: str = typer.Option("prov", "--format", "-f", help="`prov` (W3C PROV-JSON) or `openlineage` (JSON lines)."),
    config: Path | None = ConfigOption,
    _as_json: bool = typer.Option(False, "--json", help="Accepted for consistency; the output is always JSON."),
) -> None:
    """Print where a run's products come from, in a form that other tools read.

    Inputs with their checksums, the document, modules with their versions, parameters, times,
    and products. `[provenance]` in dynamo.toml has the daemon tell it by itself.
    """
    from dynamo.cli.console import print_json_line
    from dynamo.config.file import find_config
    from dynamo.errors import UsageError
    from dynamo.runs import ledger
    from dynamo.runs.provenance.facts import facts_of
    from dynamo.runs.provenance.openlineage import run_event, steps_of
    from dynamo.runs.provenance.prov import prov_json

    if form not in ("prov", "openlineage"):
        raise UsageError(f"unknown format {form!r:.40}", where="--format", expected="prov or openlineage")
    store = look(config)
    with store.reading() as session:
        run = ledger.find_run(session, name)
        facts = facts_of(session, run, ledger.products_of(session, run.id))
    store.close()
    if form == "prov":
        print_json(prov_json(facts))
        return
    namespace = find_config(config).provenance.namespace
    for step in steps_of(run):
        print_json_line(run_event(facts, step, namespace=namespace))


def cancel(
    name: str = RunArgument,
    reason: str = typer.Option("requested by user", "--reason", help="Reason to record with the decision."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Cancel a run; the process executing it stops within about a second."""
    import time

    from dynamo.runs.states import FINAL

    service = _service(config)
    try:
        run = service.cancel(name, reason)
        deadline = time.monotonic() + 10.0
        while run.state not in FINAL and time.monotonic() < deadline:
            time.sleep(0.1)
            run = service.get(run.id)
        _answer(service, run.id, as_json, pending="cancel requested; its process has not responded yet")
    finally:
        _close(service)


def retry(
    name: str = RunArgument,
    reason: str = typer.Option("requested by user", "--reason", help="Reason to record with the decision."),
    wait: bool = typer.Option(False, "--wait", help="Wait until the run finishes."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Retry a failed, cancelled or skipped run, or go on with one whose process is gone.

    Jobs that succeeded are not repeated. A succeeded run whose products are gone or were
    changed makes them again.
    """
    from dynamo.cli.submit import execute_and_show, finish
    from dynamo.runs.submitting.apart import detach

    service = _service(config)
    try:
        run = service.retry(name, reason)
        if wait:
            run = execute_and_show(service, run, config, quiet=as_json)
            if as_json:
                _answer(service, run.id, as_json)
            finish(run, None)
        else:
            detach(run, config)
        if not (wait and as_json):
            _answer(service, run.id, as_json)
    finally:
        _close(service)


def priority(
    name: str = RunArgument,
    value: int = typer.Argument(help="Higher runs first; -1000 to 1000.", min=-1000, max=1000, metavar="PRIORITY"),
    reason: str = typer.Option("requested by user", "--reason", help="Reason to record with the decision."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Change the priority of an unfinished run, of its jobs in HTCondor's queue as well.

    A daemon that runs reorders what waits within `watch.resume_s`. A negative one needs `--` before it:
    `dynamo runs priority RUN -- -5`. Exit codes: 2 if the run is finished, 5 if the pool does not respond.
    """
    service = _service(config)
    try:
        run, queued = service.prioritize(name, value, reason)
        note = "; its jobs in the pool's queue were changed" if queued else ""
        if as_json:
            print_json({"run": run.id, "state": run.state, "priority": run.priority, "jobs_changed": queued})
        else:
            out.print(f"run {run.id} {run.state}: priority {run.priority}{note}", markup=False)
    finally:
        _close(service)


def work(
    name: str = RunArgument,
    config: Path | None = ConfigOption,
    out_dir: Path | None = typer.Option(None, "--out", "-o", help="Also copy the products here."),
) -> None:
    """Execute a run to completion in this process; `dynamo submit` starts it detached."""
    import signal
    import threading

    from dynamo.cli.submit import finish
    from dynamo.errors import RunFailedError
    from dynamo.watch.logs import set_up_logging

    set_up_logging("logfmt", "info")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    service = _service(config)
    try:
        run_id = service.get(name).id
        run = service.execute(run_id, stop)
        while run is None and out_dir is not None and not stop.wait(_LOOK_S):
            # Another process is executing it (the daemon, an earlier submission), but the export is ours to do.
            run = service.execute(run_id, stop)
    finally:
        _close(service)
    if run is not None and run.state in ("failed", "cancelled"):
        raise RunFailedError(run.reason, where=f"run {run.id}")
    if run is not None and run.state == "succeeded":
        finish(run, out_dir)


def _service(config: Path | None) -> RunService:
    from dynamo.config.file import find_config
    from dynamo.runs.setup import make_service

    return make_service(find_config(config), store=look(config))


def _attended(session: Session, run: Run) -> bool | None:
    """Return whether a process works on the run; None for a run that is over."""
    from dynamo.runs.folder import is_attended
    from dynamo.runs.states import FINAL

    return None if run.state in FINAL else is_attended(session, run)


def _close(service: RunService) -> None:
    service.close()
    service.store.close()


def _answer(service: RunService, run_id: str, as_json: bool, *, pending: str = "") -> None:
    from dynamo.runs.record import run_json
    from dynamo.runs.states import FINAL

    run = service.get(run_id)
    if as_json:
        print_json(run_json(run))
        return
    note = f" ({pending})" if pending and run.state not in FINAL else ""
    out.print(f"run {run.id} {run.state}{note}", markup=False)
