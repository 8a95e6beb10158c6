"""`dynamo store`: upgrade the store; list arrivals and decisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.console import out, print_json
from dynamo.cli.options import FeedOption, RadarOption, SinceOption, TriggerOption, WideOption, choose, state_option
from dynamo.cli.runs import JsonOption
from dynamo.cli.stores import look
from dynamo.cli.tables import Column, extra, located, named, print_table, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

ARRIVAL_STATES = ("accepted", "duplicate", "quarantined", "released", "dropped")
ArrivalStateOption = state_option(ARRIVAL_STATES)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Upgrade and inspect the store; list arrivals and decisions.")
    group.command("upgrade")(upgrade)
    group.command("status")(status)
    group.command("compact")(compact)
    group.command("arrivals")(arrivals)
    group.command("decisions")(decisions)
    app.add_typer(group, name="store")


def upgrade(config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Upgrade the store to this version's schema; every command also does so when it opens the store."""
    from dynamo.config.file import find_config
    from dynamo.store.engine import open_store
    from dynamo.store.migrations import HEAD

    store = open_store(find_config(config).store_url)
    store.close()
    if as_json:
        print_json({"store": store.url, "revision": HEAD})
        return
    out.print(f"{store.url} is at revision {HEAD}", markup=False)


def compact(config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Rewrite an SQLite store without the space of removed rows; once for a store of an older DyNamo.

    From then on retention gives space back as it goes. Everything else waits meanwhile, about a second for each 100 MB.
    """
    from dynamo.config.file import find_config
    from dynamo.store.engine import existing_store
    from dynamo.store.space import compact as rewrite

    store = existing_store(find_config(config).store_url)
    before, after = rewrite(store)
    store.close()
    if as_json:
        print_json({"store": store.url, "bytes_before": before, "bytes_after": after})
        return
    out.print(f"{store.url}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now", markup=False)


def status(config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Count the contents of the store."""
    from sqlalchemy import func, select

    from dynamo.store.migrations import HEAD
    from dynamo.store.models import Arrival, Product, Run, RunDecision

    store = look(config)
    with store.reading() as session:
        data = {
            "store": store.url,
            "revision": HEAD,
            "arrivals": _counts(session, Arrival.state),
            "runs": _counts(session, Run.state),
            "products": session.scalar(select(func.count(Product.id))),
            "decisions": session.scalar(select(func.count(RunDecision.id))),
        }
    store.close()
    if as_json:
        print_json(data)
        return
    for name, value in data.items():
        text = ", ".join(f"{count} {state}" for state, count in value.items()) if isinstance(value, dict) else value
        out.print(f"{name:10} {text or '-'}", markup=False)


def arrivals(
    config: Path | None = ConfigOption,
    limit: int = typer.Option(20, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    state: list[str] = ArrivalStateOption,
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    radar: str | None = RadarOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List arrivals, newest first."""
    from sqlalchemy import func, select

    from dynamo.store.models import Arrival
    from dynamo.times import to_iso

    chosen = choose(since=since, feed=feed, radar=radar, states=state, known=ARRIVAL_STATES)
    query = select(Arrival).order_by(Arrival.id.desc()).limit(limit)
    if chosen.states:
        query = query.where(Arrival.state.in_(chosen.states))
    if chosen.since is not None:
        query = query.where(Arrival.detected_at >= chosen.since)
    if feed is not None:
        query = query.where(Arrival.feed == feed)
    if radar is not None:
        query = query.where(func.upper(Arrival.radar) == radar.upper())
    store = look(config)
    with store.reading() as session:
        found = session.scalars(query).all()
    store.close()
    data = [
        {
            "feed": item.feed,
            "path": item.path,
            "bytes": item.size,
            "sha256": item.sha256,
            "state": item.state,
            "reason": item.reason,
            "valid_at": None if item.valid_at is None else to_iso(item.valid_at),
            "moved_to": item.moved_to,
            "detected_at": to_iso(item.detected_at),
        }
        for item in found
    ]
    if as_json:
        print_json(data)
        return
    columns = (
        "arrived",
        named("feed"),
        extra("radar"),
        extra("valid"),
        "state",
        Column("bytes", wide=True),
        Column("sha256", wide=True),
        worded("why"),
        located("path"),
    )
    rows = [
        (
            item.detected_at,
            item.feed,
            item.radar,
            item.valid_at,
            item.state,
            item.size,
            item.sha256,
            item.reason,
            item.path,
        )
        for item in found
    ]
    print_table("", columns, rows, empty=chosen.none("arrivals", store.url, config), whole=wide)


def decisions(
    config: Path | None = ConfigOption,
    limit: int = typer.Option(20, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List decisions and their reasons, newest first."""
    from sqlalchemy import select

    from dynamo.runs.ledger import about_feed, about_trigger
    from dynamo.runs.record import decision_json
    from dynamo.store.models import RunDecision

    chosen = choose(since=since, feed=feed, trigger=trigger)
    query = select(RunDecision).order_by(RunDecision.id.desc()).limit(limit)
    if chosen.since is not None:
        query = query.where(RunDecision.time >= chosen.since)
    if feed is not None:
        query = query.where(about_feed(feed))
    if trigger is not None:
        query = query.where(about_trigger(trigger))
    store = look(config)
    with store.reading() as session:
        found = session.scalars(query).all()
    store.close()
    data = [decision_json(item) for item in found]
    if as_json:
        print_json(data)
        return
    columns = ("time", "action", worded("why"), located("subject"))
    rows = [(item.time, item.action, item.reason, item.subject) for item in found]
    print_table("", columns, rows, empty=chosen.none("decisions", store.url, config), whole=wide)


def _counts(session: Session, column: Any) -> dict[str, int]:
    from sqlalchemy import func, select

    return {row[0]: row[1] for row in session.execute(select(column, func.count()).group_by(column))}
