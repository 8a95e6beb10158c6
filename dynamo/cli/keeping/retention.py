"""`dynamo retention`: what the rules of `[retention]` would do, and doing it now."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.console import err, out, print_json
from dynamo.cli.options import SinceOption, WideOption, since_of
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import named, print_table, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.archive.moving import DueStep
    from dynamo.config.file import Config
    from dynamo.store.engine import Store


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Move old products to the warm tier, or remove them; prune rows.")
    group.command("plan")(plan)
    group.command("run")(run)
    group.command("keep")(keep)
    group.command("days")(days)
    app.add_typer(group, name="retention")


def plan(
    each: bool = typer.Option(False, "--each", help="Show each publication, not only the sums."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show what the rules would do now, and change nothing.

    What is due for removal but cannot be made again stays, unless its rule says otherwise; the table says why.
    """
    from dynamo.archive.caretaker import Caretaker
    from dynamo.archive.moving import moves_of
    from dynamo.times import to_iso, utc_now

    settings, store = _opened(config)
    try:
        steps = list(Caretaker(store, settings).plan(utc_now()))
        with store.reading() as session:
            moves = moves_of(session)
    finally:
        store.close()
    under_way = [
        {"run": m.run_id, "to": m.tier, "state": m.state, "reason": m.reason, "since": to_iso(m.created_at)}
        for m in moves
    ]
    if as_json:
        print_json({"steps": [{**vars(step), "kept_because": why} for step, why in steps], "under_way": under_way})
        return
    if not settings.retention.rules:
        out.print("no rules in [retention]: all products stay (see docs/howto/retention.md)", markup=False)
    elif each:
        print_table(
            "",
            ("run", named("workflow"), "to", "MB", named("rule"), worded("why")),
            [(s.run, s.workflow, _verb(s.to, why), _mb(s.bytes), s.rule, why or s.why) for s, why in steps],
            empty="nothing is due",
            whole=wide,
        )
    else:
        columns = (named("workflow"), named("rule"), "what", "runs", "MB", worded("why"))
        print_table("", columns, _sums(steps), empty="nothing is due", whole=wide)
    for item in under_way:
        err.print(f"run {item['run']} to {item['to']}: {item['state']} since {item['since']}: {item['reason']}")


def run(config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Carry out the rules now: what `plan` shows, then prune rows. `dynamo watch` does it every `retention.every_h`.

    Moves that were refused are tried again. The clock is believed, even if it is far from that of the last pass.

    Exit codes: 0 done; 5 if something waits, such as for a full warm tier.
    """
    from dynamo.archive.caretaker import Caretaker
    from dynamo.errors import RetryableError
    from dynamo.times import utc_now

    settings, store = _opened(config)
    try:
        caretaker = Caretaker(store, settings)
        caretaker.mover.forget_refused()
        done = caretaker.tend(utc_now(), clock_is_right=True)
    finally:
        store.close()
    if as_json:
        print_json(vars(done))
    else:
        rows = ", ".join(f"{count} {table}" for table, count in done.rows.items() if count)
        out.print(
            f"{done.moved} publications moved, {done.removed} removed ({_mb(done.bytes)} MB), {done.kept} kept; "
            f"rows pruned: {rows or 'none'}; {_mb(done.freed)} MB of the store freed",
            markup=False,
        )
    if done.waits:
        raise RetryableError(f"the rest waits: {done.waits}")


def keep(
    day: str = typer.Argument(metavar="DAY", help="A day, UTC: YYYY-MM-DD."),
    reason: str = typer.Option(..., "--reason", help="Why it is important; it stays on record."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Name a day as important, so that rules with `important = true` keep its products longer."""
    from datetime import UTC, datetime

    from dynamo.errors import UsageError
    from dynamo.runs.ledger import decide
    from dynamo.store.retention import note_day

    try:
        time = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise UsageError(f"not a day: {day!r:.40}", where="DAY", expected="YYYY-MM-DD") from None
    _, store = _opened(config)
    with store.transaction() as session:
        new = note_day(session, time, reason)
        if new:
            decide(session, f"day {day}", "keep", reason)
    store.close()
    if as_json:
        print_json({"day": day, "new": new})
    else:
        out.print(f"{day} is important{'' if new else ' already'}", markup=False)


def days(
    since: str | None = SinceOption,
    limit: int = typer.Option(50, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List the important days and why: days with hail or alerts, and those that `keep` named."""
    from sqlalchemy import select

    from dynamo.store.retention import ImportantDay

    begin = since_of(since)
    query = select(ImportantDay).order_by(ImportantDay.day.desc()).limit(limit)
    if begin is not None:
        query = query.where(ImportantDay.day >= f"{begin:%Y-%m-%d}")
    _, store = _opened(config)
    with store.reading() as session:
        found = session.scalars(query).all()
    store.close()
    if as_json:
        print_json([{"day": item.day, "reason": item.reason} for item in found])
        return
    print_table(
        "",
        ("day", worded("why")),
        [(item.day, item.reason) for item in found],
        empty=f"no important days in {store.url}",
        whole=wide,
    )


def _sums(steps: list[tuple[DueStep, str]]) -> list[tuple[object, ...]]:
    counts: Counter[tuple[str, ...]] = Counter()
    sizes: Counter[tuple[str, ...]] = Counter()
    for step, why in steps:
        key = (step.workflow, step.rule, _verb(step.to, why), why.partition(":")[0] or step.why)
        counts[key] += 1
        sizes[key] += step.bytes
    return [(*key[:3], counts[key], _mb(sizes[key]), key[3]) for key in sorted(counts)]


def _verb(to: str, why_not: str) -> str:
    return "keep" if why_not else "move to warm" if to == "warm" else "remove"


def _mb(size: int) -> float:
    return round(size / 1e6, 1)


def _opened(config: Path | None) -> tuple[Config, Store]:
    from dynamo.config.file import find_config
    from dynamo.store.engine import existing_store

    settings = find_config(config)
    return settings, existing_store(settings.store_url)
