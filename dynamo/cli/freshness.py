"""`dynamo freshness` and `dynamo problems`: whether data come as they should, and what was wrong."""

from __future__ import annotations

from pathlib import Path

import typer

from dynamo.cli.console import out, print_json, print_table
from dynamo.cli.runs import JsonOption
from dynamo.cli.watch import ConfigOption


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("freshness")(freshness)
    group = typer.Typer(no_args_is_help=True, help="List what is, or was, late, silent or failed.")
    group.command("list")(list_problems)
    app.add_typer(group, name="problems")


def freshness(config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Show whether feeds, workflows and jobs come as they should, by valid time.

    States: fresh, late, silent, failed (of jobs), not expected. What a backfill makes is never fresh.
    """
    from dynamo.assets.watched import Watched
    from dynamo.config.file import find_config
    from dynamo.store.engine import existing_store
    from dynamo.times import utc_now

    settings = find_config(config)
    store = existing_store(settings.store_url)
    now = utc_now()
    try:
        with store.reading() as session:
            states = Watched(settings, now).judge(session, now)
    finally:
        store.close()
    if as_json:
        print_json(
            [
                {
                    "subject": str(subject),
                    "kind": subject.kind,
                    "name": subject.name,
                    "trigger": subject.trigger,
                    "radar": subject.radar,
                    "state": str(found.state),
                    "reason": found.reason,
                    "age_s": found.age_s,
                    "late_after_s": found.late_after_s,
                }
                for subject, found in states.items()
            ]
        )
        return
    if not states:
        out.print("nothing is watched: no feeds, triggers or jobs are configured")
        return
    print_table("", ("subject", "state", "why"), [(s, found.state, found.reason) for s, found in states.items()])


def list_problems(
    everything: bool = typer.Option(False, "--all", "-a", help="Also those that are over, the newest first."),
    limit: int = typer.Option(50, "--limit", "-n", min=1, max=10_000, help="At most N."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """List the problems that are open: what is late, silent or failed, and since when."""
    from sqlalchemy import select

    from dynamo.config.file import find_config
    from dynamo.store.engine import existing_store
    from dynamo.store.problems import ProblemRecord
    from dynamo.times import to_iso

    store = existing_store(find_config(config).store_url)
    query = select(ProblemRecord).order_by(ProblemRecord.opened_at.desc(), ProblemRecord.id.desc()).limit(limit)
    if not everything:
        query = query.where(ProblemRecord.closed_at.is_(None))
    try:
        with store.reading() as session:
            found = session.scalars(query).all()
    finally:
        store.close()
    data = [
        {
            "id": problem.id,
            "subject": problem.subject,
            "state": problem.kind,
            "opened_at": to_iso(problem.opened_at.replace(microsecond=0)),
            "closed_at": None if problem.closed_at is None else to_iso(problem.closed_at.replace(microsecond=0)),
            "reason": problem.reason,
            "ending": problem.ending,
            "told": problem.told,
        }
        for problem in found
    ]
    if as_json:
        print_json(data)
    elif not data:
        out.print("no problems")
    else:
        columns = ("subject", "state", "opened_at", "closed_at", "reason")
        print_table("", columns, [[item[column] for column in columns] for item in data])
