"""`dynamo audit`: who ordered what over the API, who changed users, and who tried to log in."""

from __future__ import annotations

from pathlib import Path

import typer

from dynamo.cli.console import print_json
from dynamo.cli.options import SinceOption, WideOption, since_of
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import extra, named, print_table, worded
from dynamo.cli.watch import ConfigOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    since: str | None = SinceOption,
    user: str | None = typer.Option(None, "--user", metavar="NAME", help="Only orders of this user or token."),
    limit: int = typer.Option(50, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List orders and attempts to log in, newest first, with how each was answered.

    An order without an answer was not finished: the server was killed meanwhile.
    """
    from sqlalchemy import select

    from dynamo.cli.stores import look
    from dynamo.store.access import AuditRow
    from dynamo.times import to_iso

    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    if user is not None:
        query = query.where(AuditRow.who == user)
    if (begin := since_of(since)) is not None:
        query = query.where(AuditRow.at >= begin)
    store = look(config)
    try:
        with store.reading() as session:
            rows = session.scalars(query).all()
    finally:
        store.close()
    if as_json:
        names = [column.key for column in AuditRow.__table__.columns if column.key != "at"]
        print_json([{"at": to_iso(row.at), **{name: getattr(row, name) for name in names}} for row in rows])
        return
    print_table(
        "",
        ("at", named("who"), "answer", worded("order"), extra("from"), extra("how")),
        [
            (
                row.at,
                row.who or "-",
                "none" if row.status is None else row.status,
                " ".join(filter(None, (row.method, row.route, row.subject, row.summary))),
                row.address,
                row.how,
            )
            for row in rows
        ],
        empty="no orders",
        whole=wide,
    )
