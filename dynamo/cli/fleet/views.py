"""`dynamo-provision status`, `events` and `cost`: a fleet's state, history and cost."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.console import out, print_json, print_json_line
from dynamo.cli.fleet.common import FleetOption, JsonOption, fleet_of, opened
from dynamo.cli.fleet.completion import complete_all
from dynamo.cli.options import SinceOption, WideOption, past, since_of
from dynamo.cli.tables import named, print_table, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.store.engine import Store
    from dynamo.store.fleets import FleetEvent

_FOLLOW_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("events")(events)
    app.command("cost")(cost)


def status(
    fleet: str | None = FleetOption,
    watch: bool = typer.Option(False, "--watch", "-w", help="Refresh until Ctrl-C."),
    every_s: float = typer.Option(2.0, "--every", min=0.2, metavar="SECONDS", help="Refresh interval of --watch."),
    workers: bool = typer.Option(True, "--workers/--no-workers", help="Show each worker."),
    ended: bool = typer.Option(False, "--ended", help="Include workers that ended in the last 15 minutes."),
    wide: bool = WideOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Show a fleet: requested and actual workers, sites, and what is blocking progress.

    Examples:

    `dynamo-provision status --watch --every 1`

    `dynamo-provision status --json`; with `--watch`, one JSON object per line.
    """
    from dynamo.cli.fleet.tables import status_tables
    from dynamo.provision.status import fleet_status

    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        if as_json:
            while watch:
                print_json_line(fleet_status(here.store, name).to_json())
                time.sleep(every_s)
            print_json(fleet_status(here.store, name).to_json())
            return
        if not watch:
            out.print(status_tables(fleet_status(here.store, name), workers=workers, ended=ended, wide=wide))
            return
        from rich.live import Live

        live = Live(console=out, auto_refresh=False, screen=out.is_terminal, vertical_overflow="ellipsis")
        try:
            with live:
                while True:
                    shown = status_tables(fleet_status(here.store, name), workers=workers, ended=ended, wide=wide)
                    if out.is_terminal:
                        live.update(shown, refresh=True)
                    else:
                        out.print(shown)
                    time.sleep(every_s)
        except KeyboardInterrupt:
            return


def events(
    fleet: str | None = FleetOption,
    about: str = typer.Option("", "--about", metavar="NAME", help="Worker or site.", autocompletion=complete_all),
    action: str = typer.Option("", "--action", help="Only this action, e.g. grow, drain, lost, hold."),
    since: str | None = SinceOption,
    limit: int = typer.Option(50, "--limit", "-n", min=1, max=100_000, help="Show the newest N."),
    follow: bool = typer.Option(False, "--follow", "-f", help="Keep printing new events until Ctrl-C."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show what happened and why, newest last.

    Examples:

    `dynamo-provision events --about local-3`

    `dynamo-provision events --follow --json`: one JSON object per line.
    """
    from dynamo.provision import ledger

    begin = since_of(since)
    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        with here.store.reading() as session:
            found = ledger.events(session, name, about=about, action=action, limit=limit, since=begin)
        if as_json and not follow:
            print_json([event_json(item) for item in found])
            return
        _print_events(found, as_json, wide=wide)
        if not follow:
            return
        try:
            _follow(here.store, name, about, action, found[-1].id if found else 0, as_json, wide=wide)
        except KeyboardInterrupt:
            return


def _follow(store: Store, name: str, about: str, action: str, last: int, as_json: bool, *, wide: bool) -> None:
    from dynamo.provision import ledger

    while True:
        time.sleep(_FOLLOW_S)
        with store.reading() as session:
            found = ledger.events(session, name, about=about, action=action, after_id=last, limit=10_000)
        _print_events(found, as_json, wide=wide)
        last = found[-1].id if found else last


def event_json(event: FleetEvent) -> dict[str, Any]:
    """Return an event as JSON data."""
    from dynamo.times import to_iso

    return {
        "id": event.id,
        "time": to_iso(event.time),
        "fleet": event.fleet,
        "site": event.site,
        "worker": event.worker,
        "action": event.action,
        "reason": event.reason,
        "data": event.data,
    }


def _print_events(found: list[FleetEvent], as_json: bool, *, wide: bool) -> None:
    if as_json:
        for event in found:
            print_json_line(event_json(event))
        return
    rows = [(event.time, event.action, event.worker or event.site or "-", event.reason) for event in found]
    if rows:
        print_table("", ("time", "action", "about", worded("why")), rows, whole=wide)


def cost(
    fleet: str | None = FleetOption,
    by: str = typer.Option("site", "--by", help="site, day, workflow, worker, run or flavor."),
    since: str | None = SinceOption,
    until: str | None = typer.Option(None, "--until", metavar="TIME", help="End: ISO 8601, or an age."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show a fleet's cost and idle share. Periods are rounded out to full hours.

    The process that manages the fleet records cost once a minute.

    Examples:

    `dynamo-provision cost --by workflow --since 7d`

    `dynamo-provision cost --fleet storm --by day --json`
    """
    from dynamo.provision import ledger
    from dynamo.provision.cost_report import cost_report
    from dynamo.provision.fleets import stored_spec
    from dynamo.times import utc_now

    now = utc_now()
    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        with here.store.reading() as session:
            currency = stored_spec(ledger.fleet_named(session, name)).budget.currency
            report = cost_report(
                session,
                name,
                by,
                since=None if since is None else past(since, now, where="--since"),
                until=None if until is None else past(until, now, where="--until"),
                currency=currency,
            )
    if as_json:
        print_json(report.to_json())
        return
    rows = [
        (
            row.key,
            row.workers,
            round(row.worker_hours, 3),
            round(row.core_hours, 3),
            round(row.busy_core_hours, 3),
            f"{row.idle_share:.0%}",
            float(round(row.cost, 6)),
        )
        for row in (*report.rows, report.total)
    ]
    columns = (named(by), "workers", "hours", "core hours", "busy", "idle", currency)
    print_table(f"cost of {name}", columns, rows, whole=wide)
