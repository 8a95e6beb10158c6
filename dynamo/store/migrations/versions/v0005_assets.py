"""Assets: the line of products that a run belongs to, counters of each series, and which runs read a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
#: Formats whose files come from one radar, however many a run has.
_OF_ONE_RADAR = ("radar-sweep", "radar-volume")
_BATCH = 1000


def upgrade() -> None:
    op.add_column("arrivals", sa.Column("radar", sa.String(length=100), nullable=False, server_default=""))
    op.create_index(op.f("ix_arrivals_feed_radar_valid_at"), "arrivals", ["feed", "radar", "valid_at"], unique=False)
    for name, length, default in (
        ("radar", 100, ""),
        ("origin", 20, "live"),
        ("backfill", 64, ""),
        ("variant", 64, ""),
        ("standing", 20, ""),
    ):
        op.add_column("runs", sa.Column(name, sa.String(length=length), nullable=False, server_default=default))
    line = ["workflow", "trigger", "radar", "variant", "valid_at"]
    op.create_index("ix_runs_line", "runs", line, unique=False)
    op.add_column("products", sa.Column("output", sa.String(length=200), nullable=False, server_default=""))
    op.create_table(
        "run_inputs",
        sa.Column("sha", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_inputs_run_id")),
        sa.PrimaryKeyConstraint("sha", "run_id", name=op.f("pk_run_inputs")),
    )
    op.create_index(op.f("ix_run_inputs_run_id"), "run_inputs", ["run_id"], unique=False)
    op.create_table(
        "series",
        sa.Column("id", _KEY, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("trigger", sa.String(length=200), nullable=False),
        sa.Column("radar", sa.String(length=100), nullable=False),
        sa.Column("variant", sa.String(length=64), nullable=False),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("oldest_at", _TIME, nullable=False),
        sa.Column("newest_at", _TIME, nullable=False),
        sa.Column("live_at", _TIME, nullable=True),
        sa.Column("heard_at", _TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_series")),
        sa.UniqueConstraint(
            "kind", "name", "trigger", "radar", "variant", name=op.f("uq_series_kind_name_trigger_radar_variant")
        ),
    )
    op.create_table(
        "series_days",
        sa.Column("series_id", _KEY, nullable=False),
        sa.Column("day", sa.String(length=8), nullable=False),
        sa.Column("slots", sa.BigInteger(), nullable=False),
        sa.Column("made", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name=op.f("fk_series_days_series_id")),
        sa.PrimaryKeyConstraint("series_id", "day", name=op.f("pk_series_days")),
    )
    _fill()


def downgrade() -> None:
    op.drop_table("series_days")
    op.drop_table("series")
    op.drop_table("run_inputs")
    op.drop_column("products", "output")
    op.drop_index("ix_runs_line", table_name="runs")
    for name in ("standing", "variant", "backfill", "origin", "radar"):
        op.drop_column("runs", name)
    op.drop_index(op.f("ix_arrivals_feed_radar_valid_at"), table_name="arrivals")
    op.drop_column("arrivals", "radar")


_ARRIVALS = sa.table(
    "arrivals",
    sa.column("id", _KEY),
    *(sa.column(name, sa.String()) for name in ("feed", "state", "radar")),
    sa.column("size", sa.BigInteger()),
    sa.column("facts", sa.JSON()),
    sa.column("valid_at", _TIME),
    sa.column("recorded_at", _TIME),
)
_RUNS = sa.table(
    "runs",
    *(sa.column(name, sa.String()) for name in ("id", "workflow", "trigger", "state", "radar", "origin", "standing")),
    sa.column("arrival_id", _KEY),
    sa.column("inputs", sa.JSON()),
    *(sa.column(name, _TIME) for name in ("valid_at", "created_at", "published_at")),
)
_PRODUCTS = sa.table("products", sa.column("run_id", sa.String()), sa.column("bytes", sa.BigInteger()))
_INPUTS = sa.table("run_inputs", sa.column("sha", sa.String()), sa.column("run_id", sa.String()))
_SERIES = sa.table(
    "series",
    *(sa.column(name, sa.String()) for name in ("kind", "name", "trigger", "radar", "variant")),
    *(sa.column(name, sa.BigInteger()) for name in ("id", "slots", "made", "bytes")),
    *(sa.column(name, _TIME) for name in ("oldest_at", "newest_at", "live_at", "heard_at")),
)
_DAYS = sa.table(
    "series_days",
    sa.column("day", sa.String()),
    *(sa.column(name, sa.BigInteger()) for name in ("series_id", "slots", "made", "bytes")),
)


def _fill() -> None:
    """Give stored arrivals and runs their radar and standing, and count them."""
    connection = op.get_bind()
    radar = sa.func.coalesce(_ARRIVALS.c.facts["radar"].as_string(), "")
    connection.execute(sa.update(_ARRIVALS).values(radar=radar).where(_ARRIVALS.c.facts.is_not(None)))
    _fill_runs(connection)
    counters: dict[tuple[str, str, str, str], dict[str, list[Any]]] = {}
    _count_arrivals(connection, counters)
    _count_runs(connection, counters)
    for number, (series, days) in enumerate(counters.items(), 1):
        kind, name, trigger, of_radar = series
        values = list(days.values())
        newest = max(item[4] for item in values)
        heard = max((item[5] for item in values if item[5] is not None), default=None)
        connection.execute(
            sa.insert(_SERIES).values(
                id=number,
                kind=kind,
                name=name,
                trigger=trigger,
                radar=of_radar,
                variant="",
                slots=sum(item[0] for item in values),
                made=sum(item[1] for item in values),
                bytes=sum(item[2] for item in values),
                oldest_at=min(item[3] for item in values),
                newest_at=newest,
                live_at=None if heard is None else newest,
                heard_at=heard,
            )
        )
        connection.execute(
            sa.insert(_DAYS),
            [
                {"series_id": number, "day": day, "slots": item[0], "made": item[1], "bytes": item[2]}
                for day, item in days.items()
            ],
        )
    if counters and connection.dialect.name == "postgresql":
        connection.execute(
            sa.text("SELECT setval(pg_get_serial_sequence('series', 'id'), (SELECT max(id) FROM series))")
        )


def _fill_runs(connection: sa.Connection) -> None:
    last = ""
    while True:
        rows = connection.execute(
            sa.select(_RUNS.c.id, _RUNS.c.inputs, _RUNS.c.trigger, _ARRIVALS.c.radar, _ARRIVALS.c.facts)
            .select_from(_RUNS.outerjoin(_ARRIVALS, _ARRIVALS.c.id == _RUNS.c.arrival_id))
            .where(_RUNS.c.id > last)
            .order_by(_RUNS.c.id)
            .limit(_BATCH)
        ).all()
        if not rows:
            return
        last = rows[-1].id
        radars, reads = [], []
        for run, inputs, trigger, radar, facts in rows:
            alone = (facts or {}).get("format") in _OF_ONE_RADAR or len(inputs) == 1
            origin = "submit" if trigger == "submit" else "live"
            radars.append({"run": run, "of": (radar or "") if alone else "", "by": origin})
            reads += [{"sha": sha, "run_id": run} for sha in sorted({str(item["sha256"])[:16] for item in inputs})]
        connection.execute(
            sa.update(_RUNS)
            .where(_RUNS.c.id == sa.bindparam("run"))
            .values(radar=sa.bindparam("of"), origin=sa.bindparam("by")),
            radars,
        )
        if reads:
            connection.execute(sa.insert(_INPUTS), reads)


def _count_arrivals(connection: sa.Connection, counters: dict[Any, Any]) -> None:
    rows = connection.execute(
        sa.select(_ARRIVALS.c.feed, _ARRIVALS.c.radar, _ARRIVALS.c.valid_at, _ARRIVALS.c.size, _ARRIVALS.c.recorded_at)
        .where(_ARRIVALS.c.state == "accepted", _ARRIVALS.c.valid_at.is_not(None))
        .order_by(_ARRIVALS.c.feed, _ARRIVALS.c.radar, _ARRIVALS.c.valid_at)
        .execution_options(yield_per=_BATCH)
    )
    before = None
    for feed, radar, valid_at, size, recorded_at in rows:
        slot = (feed, radar, valid_at)
        _count(counters, ("feed", feed, "", radar), valid_at, slot != before, size, recorded_at)
        before = slot


def _count_runs(connection: sa.Connection, counters: dict[Any, Any]) -> None:
    newest: list[dict[str, str]] = []
    before = None
    for run, workflow, trigger, radar, valid_at, created_at, published_at, size in list(_published(connection)):
        slot = (workflow, trigger, radar, valid_at or run)
        first = slot != before
        newest.append({"run": run, "to": "current" if first else "superseded"})
        _count(counters, ("workflow", workflow, trigger, radar), valid_at or created_at, first, size, published_at)
        before = slot
    for start in range(0, len(newest), _BATCH):
        connection.execute(
            sa.update(_RUNS).where(_RUNS.c.id == sa.bindparam("run")).values(standing=sa.bindparam("to")),
            newest[start : start + _BATCH],
        )


def _published(connection: sa.Connection) -> Iterator[Any]:
    size = sa.select(sa.func.coalesce(sa.func.sum(_PRODUCTS.c.bytes), 0)).where(_PRODUCTS.c.run_id == _RUNS.c.id)
    columns = ("id", "workflow", "trigger", "radar", "valid_at", "created_at", "published_at")
    yield from connection.execute(
        sa.select(*(_RUNS.c[name] for name in columns), size.scalar_subquery())
        .where(_RUNS.c.state == "succeeded")
        .order_by(
            _RUNS.c.workflow, _RUNS.c.trigger, _RUNS.c.radar, _RUNS.c.valid_at, _RUNS.c.published_at.desc(), _RUNS.c.id
        )
    )


def _count(
    counters: dict[Any, Any], series: tuple[str, ...], at: datetime, first: bool, size: int, heard: datetime | None
) -> None:
    day = counters.setdefault(series, {}).setdefault(at.strftime("%Y%m%d"), [0, 0, 0, at, at, heard])
    day[0] += first
    day[1] += 1
    day[2] += int(size)
    day[3], day[4] = min(day[3], at), max(day[4], at)
    if heard is not None:
        day[5] = heard if day[5] is None else max(day[5], heard)
