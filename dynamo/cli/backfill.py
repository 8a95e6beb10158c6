"""`dynamo backfill`: make a trigger or workflow again over a range of valid times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.backfill.states import STATES
from dynamo.cli.completion import (
    complete_backfills,
    complete_engines,
    complete_feeds,
    complete_radars,
    complete_startable,
)
from dynamo.cli.console import err, out, print_json, progress
from dynamo.cli.given import given_values
from dynamo.cli.options import FeedOption as OfFeedOption
from dynamo.cli.options import SinceOption as SinceMadeOption
from dynamo.cli.options import TriggerOption, WideOption, choose, state_option
from dynamo.cli.tables import extra, named, print_table, prose, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.backfill.order import Order
    from dynamo.config.file import Config
    from dynamo.runs.service import RunService
    from dynamo.store.backfills import Backfill

StateOption = state_option(STATES)
_LOOK_S = 0.5
_INTERRUPTED = 130

JsonOption = typer.Option(False, "--json", help="Print JSON.")
IdArgument = typer.Argument(help="ID of a backfill, or its beginning.", metavar="ID", autocompletion=complete_backfills)
WhatArgument = typer.Argument(
    help="A trigger of the configuration; or a workflow, with --feed or --from.",
    metavar="TRIGGER|WORKFLOW",
    autocompletion=complete_startable,
)
SinceOption = typer.Option(..., "--since", help="Start of the range of valid times, such as 2026-05-20T22:00Z.")
UntilOption = typer.Option(..., "--until", help="Its end, which does not belong to it.")
RadarOption = typer.Option(
    [], "--radar", "-r", help="Only data of this radar (repeatable).", autocompletion=complete_radars
)
FromOption = typer.Option(
    None, "--from", metavar="FOLDER", help="Take the files in a folder and those below, not what has arrived."
)
ParamOption = typer.Option([], "--param", "-p", metavar="NAME=VALUE", help="Change a parameter (repeatable).")
AsOption = typer.Option("", "--as", metavar="NAME", help="Publish beside the current products, as WORKFLOW@NAME.")
AtMostOption = typer.Option(1, "--at-most", min=1, max=1000, metavar="N", help="Runs at once.")
FeedOption = typer.Option(None, "--feed", help="Feed whose arrivals a workflow takes.", autocompletion=complete_feeds)
PortOption = typer.Option(None, "--input", "-i", metavar="NAME", help="Workflow input that gets the file.")
EngineOption = typer.Option(
    None, "--engine", "-e", help="Instead of the configured engine.", autocompletion=complete_engines
)
ReasonOption = typer.Option("requested by user", "--reason", help="Reason to record with the decision.")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True, help="Make a trigger or workflow again over a time range, behind all live work."
    )
    for name, command in (
        ("plan", plan),
        ("start", start),
        ("list", list_all),
        ("show", show),
        ("pause", pause),
        ("resume", resume),
        ("cancel", cancel),
        ("run", run),
        ("promote", promote),
    ):
        group.command(name)(command)
    app.add_typer(group, name="backfill")


def plan(
    what: str = WhatArgument,
    since: str = SinceOption,
    until: str = UntilOption,
    radars: list[str] = RadarOption,
    folder: Path | None = FromOption,
    params: list[str] = ParamOption,
    variant: str = AsOption,
    at_most: int = AtMostOption,
    feed: str | None = FeedOption,
    port: str | None = PortOption,
    engine: str | None = EngineOption,
    price: float | None = typer.Option(
        None, "--price", min=0.0, help="Price of a core-hour. Default: that of recent workers, if they cost anything."
    ),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Tell what `start` with the same options would do: runs, core-hours, money, and what is missing.

    Nothing is stored or started. With --from, numbers are estimated from some of the files.
    """

    def work(service: RunService, settings: Config) -> None:
        from dynamo.backfill.planning import plan as plan_backfill

        order = _order(
            service, settings, what, since, until, radars, folder, params, variant, at_most, feed, port, engine
        )
        found = plan_backfill(service, order, price)
        if as_json:
            print_json({**_order_json(order), **asdict(found)})
            return
        about = "about " if found.estimated else ""
        rows: list[tuple[str, object]] = [("range", _range(order.since, order.until))]
        if found.files is not None:
            rows.append(("files", found.files))
        rows += [
            ("to make", f"{about}{found.runs} runs"),
            ("up to date", f"{about}{found.up_to_date}"),
            ("not started by the trigger", f"{about}{found.refused}"),
            ("input gone", f"{about}{found.gone}"),
            ("core-hours", f"{found.core_h:.3g}"),
            ("hours", f"{found.hours:.3g}, {at_most} at once, without live work"),
            ("cost", "no price known" if found.cost is None else f"{found.cost:.2f}"),
        ]
        print_table("", ("", prose(order.rule.name)), rows)
        for reason in found.gone_inputs[:5]:
            err.print(f"input gone: {reason}", markup=False)

    _with_service(config, work, fresh=folder is not None)


def start(
    what: str = WhatArgument,
    since: str = SinceOption,
    until: str = UntilOption,
    radars: list[str] = RadarOption,
    folder: Path | None = FromOption,
    params: list[str] = ParamOption,
    variant: str = AsOption,
    at_most: int = AtMostOption,
    feed: str | None = FeedOption,
    port: str | None = PortOption,
    engine: str | None = EngineOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Start a backfill: `dynamo watch` works on it while no live run waits, or `dynamo backfill run` does.

    The workflow document, the trigger's options and the parameters are kept as they are now. What is up to date is not
    made again. Nobody is alerted, and nothing old becomes the latest.

    Exit codes: 2 if another backfill covers a part of the range, 3 for bad input, 4 if there is no such thing.
    """

    def work(service: RunService, settings: Config) -> None:
        from dynamo.backfill import order as orders
        from dynamo.backfill.control import backfill_json

        order = _order(
            service, settings, what, since, until, radars, folder, params, variant, at_most, feed, port, engine
        )
        with service.store.transaction() as session:
            row = orders.start(session, order)
            data = backfill_json(session, row)
        if as_json:
            print_json(data)
        else:
            out.print(f"backfill {row.id} started; follow it with: dynamo backfill show {row.id}", markup=False)

    _with_service(config, work, fresh=folder is not None)


def list_all(
    state: list[str] = StateOption,
    since: str | None = SinceMadeOption,
    feed: str | None = OfFeedOption,
    trigger: str | None = TriggerOption,
    config: Path | None = ConfigOption,
    limit: int = typer.Option(20, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List backfills, newest first."""
    chosen = choose(since=since, feed=feed, trigger=trigger, states=state, known=STATES)

    def work(service: RunService, _settings: Config) -> None:
        from dynamo.backfill.control import backfill_json, list_backfills
        from dynamo.store.backfills import Backfill
        from dynamo.times import in_words

        conditions = [Backfill.created_at >= chosen.since] if chosen.since is not None else []
        conditions += [Backfill.state.in_(state)] if state else []
        conditions += [Backfill.feed == feed] if feed is not None else []
        conditions += [Backfill.trigger == trigger] if trigger is not None else []

        with service.store.reading() as session:
            rows = list_backfills(session, limit, *conditions)
            data = [backfill_json(session, row) for row in rows]
        if as_json:
            print_json(data)
            return
        print_table(
            "",
            ("id", "state", named("trigger"), "from", extra("length"), "runs", "failed", worded("why")),
            [
                (
                    row.id,
                    row.state,
                    row.trigger + (f"@{row.variant}" if row.variant else ""),
                    row.since,
                    in_words(row.until - row.since),
                    f"{one['runs'].get('succeeded', 0)}/{row.made}",
                    one["runs"].get("failed", 0),
                    row.reason,
                )
                for row, one in zip(rows, data, strict=True)
            ],
            empty=chosen.none("backfills", service.store.url, config),
            whole=wide,
        )

    _with_service(config, work)


def show(name: str = IdArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Show one backfill: how far it is, and what became of its runs."""

    def work(service: RunService, _settings: Config) -> None:
        from dynamo.backfill.control import backfill_json, find_backfill

        with service.store.reading() as session:
            row = find_backfill(session, name)
            data = backfill_json(session, row)
        if as_json:
            print_json(data)
            return
        shown = {label: value for label, value in data.items() if value not in (None, "", [], {})}
        shown["runs"] = ", ".join(f"{count} {state}" for state, count in data["runs"].items()) or "none"
        shown["parameters"] = ", ".join(f"{key} = {value}" for key, value in row.parameters.items())
        shown["radars"] = ", ".join(row.radars) or "all"
        print_table("", ("", prose("backfill")), list(shown.items()))

    _with_service(config, work)


def pause(
    name: str = IdArgument,
    reason: str = ReasonOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Make no more runs until `resume`; those that have begun are finished."""

    def work(service: RunService, _settings: Config) -> None:
        from dynamo.backfill.control import pause as pause_backfill

        _answer(service, pause_backfill(service.store, name, reason), as_json)

    _with_service(config, work)


def resume(name: str = IdArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Go on with a paused backfill where it was."""

    def work(service: RunService, _settings: Config) -> None:
        from dynamo.backfill.control import resume as resume_backfill

        _answer(service, resume_backfill(service.store, name), as_json)

    _with_service(config, work)


def cancel(
    name: str = IdArgument,
    reason: str = ReasonOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """End a backfill and cancel its unfinished runs; what it published stays."""

    def work(service: RunService, _settings: Config) -> None:
        from dynamo.backfill.control import cancel as cancel_backfill

        _answer(service, cancel_backfill(service, name, reason), as_json)

    _with_service(config, work)


def run(name: str = IdArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Work on a backfill here until it is done; if a daemon runs, follow its work instead.

    Ctrl-C leaves it where it is: the same command, or a daemon, goes on. Exit code 6 if a run failed.
    """

    def work(service: RunService, settings: Config) -> None:
        from dynamo.errors import RunFailedError

        row = _work_off(service, settings, name, quiet=as_json)
        data = _answer(service, row, as_json)
        if row.state not in ("done", "paused", "cancelled"):
            raise typer.Exit(_INTERRUPTED)
        if failed := data["runs"].get("failed", 0):
            raise RunFailedError(f"{failed} runs failed", where=f"backfill {row.id}", hint="dynamo runs list -s failed")

    _with_service(config, work)


def promote(name: str = IdArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Make what a backfill published --as NAME the current products; those it replaces are kept as superseded.

    Readers see the old products or the new ones, each whole. If it is interrupted, repeat it.
    """

    def work(service: RunService, _settings: Config) -> None:
        from dynamo.backfill.promotion import promote as promote_backfill

        with progress() as bar:
            bar.disable = as_json or not err.is_terminal
            task = bar.add_task(f"promote {name}", total=None)
            found = promote_backfill(service, name, lambda done: bar.update(task, completed=done))
        if as_json:
            print_json(asdict(found))
        else:
            gone = f"; {found.gone} left out, whose products are gone or were changed" if found.gone else ""
            busy = f"; {found.busy} left out that another process is at: repeat this in a minute" if found.busy else ""
            out.print(f"{found.runs} runs are current now{gone}{busy}", markup=False)

    _with_service(config, work)


def _work_off(service: RunService, settings: Config, name: str, *, quiet: bool) -> Backfill:
    """Work on a backfill, or follow the daemon that does, until it is not active any more or Ctrl-C."""
    import threading

    from dynamo.backfill.control import find_backfill
    from dynamo.backfill.making import run_states
    from dynamo.backfill.states import ACTIVE
    from dynamo.backfill.worker import BackfillWorker
    from dynamo.errors import RetryableError

    stop = threading.Event()
    worker = BackfillWorker(service, settings, may_start=lambda: not _has_daemon(service), stop=stop)
    with service.store.reading() as session:
        row = find_backfill(session, name)

    def work() -> None:
        while not stop.is_set():
            try:
                worker.work(row.id)
                return
            except (RetryableError, OSError) as error:
                err.print(f"waiting: {error}", markup=False)
                stop.wait(_LOOK_S)

    thread = threading.Thread(target=work, name="backfill", daemon=True)
    thread.start()
    try:
        with progress() as bar:
            bar.disable = quiet or not err.is_terminal
            task = bar.add_task(f"backfill {row.id}", total=None)
            while row.state == ACTIVE:
                thread.join(_LOOK_S)
                with service.store.reading() as session:
                    row = find_backfill(session, row.id)
                    ended = run_states(session, row.id).get("succeeded", 0)
                at = "" if row.cursor_at is None else f" at {row.cursor_at:%Y-%m-%d %H:%M}"
                total = row.made if row.phase == "finish" else None
                bar.update(task, description=f"backfill {row.id}{at}", completed=ended, total=total)
    except KeyboardInterrupt:
        err.print(f"backfill {row.id} is left where it is; go on with: dynamo backfill run {row.id}", markup=False)
    finally:
        stop.set()
        thread.join(_LOOK_S)
        worker.join(service.settings.tick_s * 4)
    return row


def _has_daemon(service: RunService) -> bool:
    from dynamo.errors import BusyError
    from dynamo.store.lease import StoreLease

    try:
        StoreLease(service.store).check()
    except BusyError:
        return True
    return False


def _order(
    service: RunService,
    settings: Config,
    what: str,
    since: str,
    until: str,
    radars: list[str],
    folder: Path | None,
    params: list[str],
    variant: str,
    at_most: int,
    feed: str | None,
    port: str | None,
    engine: str | None,
) -> Order:
    from dynamo.backfill.order import compose
    from dynamo.times import parse_time

    return compose(
        settings,
        service.planner,
        what,
        since=parse_time(since, where="--since"),
        until=parse_time(until, where="--until"),
        radars=radars,
        folder=None if folder is None else folder.absolute(),
        parameters=given_values(params, "--param"),
        variant=variant,
        at_most=at_most,
        feed=feed,
        port=port,
        engine=engine,
    )


def _order_json(order: Order) -> dict[str, Any]:
    from dynamo.times import to_iso

    return {
        "trigger": order.rule.name,
        "workflow": order.rule.workflow.name,
        "since": to_iso(order.since),
        "until": to_iso(order.until),
        "radars": order.radars,
        "as": order.variant,
        "at_most": order.at_most,
    }


def _answer(service: RunService, row: Backfill, as_json: bool) -> dict[str, Any]:
    from dynamo.backfill.control import backfill_json

    with service.store.reading() as session:
        data = backfill_json(session, row)
    if as_json:
        print_json(data)
    else:
        why = f": {row.reason}" if row.reason else ""
        out.print(
            f"backfill {row.id} is {row.state}{why}; {data['runs'].get('succeeded', 0)} of {row.made} runs succeeded, "
            f"{row.had} up to date, {row.refused} not started, {row.gone} without input",
            markup=False,
        )
    return data


def _with_service(config: Path | None, work: Callable[[RunService, Config], None], *, fresh: bool = False) -> None:
    """Call ``work`` with the store of a configuration, made if it is to be ``fresh`` where there is none."""
    from dynamo.config.file import find_config
    from dynamo.runs.setup import make_service
    from dynamo.store.engine import existing_store, open_store

    settings = find_config(config)
    store = (open_store if fresh else existing_store)(settings.store_url)
    service = make_service(settings, store=store)
    try:
        work(service, settings)
    finally:
        service.close()
        service.store.close()


def _range(since: Any, until: Any) -> str:
    from dynamo.times import in_words

    return f"{since:%Y-%m-%d %H:%M} + {in_words(until - since)}"
