"""Worker costs in the store: paid time by clock hour, and how much of it jobs used.

Time is billed by the second, from when a site has the server until it is gone, with or without jobs.
For sites that bill whole units (an hour, a lease), a worker's time is rounded up once, at its end.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Double,
    FromClause,
    Row,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from dynamo.provision.deciding.lifecycle import FINAL
from dynamo.provision.ledger import set_many
from dynamo.provision.pool_link import FinishedJob
from dynamo.store.fleets import Fleet, Worker, WorkerHour, WorkerUse

HOUR = timedelta(hours=1)

_WORKERS = cast("Table", Worker.__table__)
_HOURS = cast("Table", WorkerHour.__table__)
_USES = cast("Table", WorkerUse.__table__)


def full_hour(time: datetime) -> datetime:
    """Return the start of the hour, UTC, that contains ``time``."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(start: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
    """Split a period at full hours UTC; yield each hour's start and the seconds in it."""
    hour = full_hour(start)
    while start < end:
        following = hour + HOUR
        yield hour, (min(following, end) - start).total_seconds()
        start = hour = following


def accrue(
    session: Session,
    fleet: str,
    workers: Iterable[Any],
    now: datetime,
    *,
    ended: Mapping[int, datetime] | None = None,
    billing_s: Mapping[str, float] | None = None,
) -> float:
    """Bill workers for the time since they were last billed; return the cost.

    How far a worker is billed is read and stored in the caller's transaction, so a killed process neither bills
    anything twice nor leaves anything out, however old ``workers`` is.

    Parameters
    ----------
    workers
        Anything with a worker's ``id``, including ended workers; nothing else is read. Workers that no site
        has created yet cost nothing.
    now
        Bill workers that have not ended up to this time; those already billed further are unchanged.
    ended
        End times by worker id, if their rows do not have them yet.
    billing_s
        Billing unit by site, in seconds, for sites that do not bill by the second.
    """
    ended, billing_s = ended or {}, billing_s or {}
    hours: dict[datetime, list[tuple[int, float]]] = {}
    splits: dict[tuple[datetime, datetime], list[tuple[list[tuple[int, float]], float]]] = {}
    to_now: list[int] = []
    to_end: list[dict[str, Any]] = []
    costs: list[float] = []
    dialect = session.get_bind().dialect.name
    for worker in _billable(session, dialect, fleet, [worker.id for worker in workers]):
        start = worker.billed_until or worker.started_at
        end = ended.get(worker.id) or worker.ended_at
        stop = now if end is None else _rounded(worker.started_at, end, billing_s.get(worker.site, 0.0))
        if stop <= start:
            continue
        if end is None:
            to_now.append(worker.id)
        else:
            to_end.append({"id": worker.id, "billed_until": stop})
        # Nearly all workers were last billed at the same times.
        if (start, stop) not in splits:
            splits[start, stop] = [(hours.setdefault(hour, []), s) for hour, s in hours_between(start, stop)]
        for found, seconds in splits[start, stop]:
            found.append((worker.id, seconds))
        costs.append((stop - start).total_seconds() / 3600.0 * worker.cost_per_hour)
    connection = session.connection()
    for hour, found in hours.items():
        connection.execute(_add_hours(dialect), {"hour": hour, **_values(dialect, found)})
    if to_now:
        connection.execute(_bill(dialect), {"now": now, **_values(dialect, [(number, 0.0) for number in to_now])})
    set_many(session, ["billed_until"], to_end)
    return math.fsum(costs)


def unsettled(session: Session, fleet: str, since: datetime) -> list[Row[Any]]:
    """Return workers that ended after ``since`` and are not billed up to their end, for `accrue`.

    There are none unless a worker's end was stored in another transaction than its bill.
    """
    end = _WORKERS.c.ended_at
    billed = _WORKERS.c.billed_until
    return list(
        session.execute(
            select(_WORKERS)
            .where(
                _WORKERS.c.fleet == fleet,
                end >= since,
                _WORKERS.c.state.in_([state.value for state in FINAL]),
                _WORKERS.c.started_at < end,
                or_(billed.is_(None), billed < end),
            )
            .order_by(_WORKERS.c.id)
        )
    )


def record_uses(session: Session, fleet: str, jobs: Sequence[FinishedJob]) -> None:
    """Store what jobs used of workers; jobs already stored, by id and end, are unchanged."""
    rows = [
        {
            "fleet": fleet,
            "job": _text(job.job, 200),
            "ended_at": job.ended_at,
            "worker": _text(job.worker, 63),
            "core_s": max(job.wall_s, 0.0) * max(job.cpus, 0),
            "ok": job.ok,
            "wall_s": max(job.wall_s, 0.0),
            "run": _text(job.run, 64),
            "workflow": _text(job.workflow, 200),
        }
        for job in jobs
    ]
    if rows:
        session.execute(_new_uses(session.get_bind().dialect.name), rows)


def spent(session: Session, fleet: str, since: datetime | None = None) -> float:
    """Return what a fleet has cost, in its currency: in total, or from the full hour that contains ``since``."""
    statement = select(func.sum(_HOURS.c.cost)).where(_HOURS.c.fleet == fleet)
    if since is not None:
        statement = statement.where(_HOURS.c.hour >= full_hour(since))
    return float(session.scalar(statement) or 0.0)


def spent_by_now(session: Session, fleet: str, now: datetime) -> tuple[float, float]:
    """Return what a fleet has cost since midnight UTC, and in total."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return spent(session, fleet, midnight), spent(session, fleet)


def _billable(session: Session, dialect: str, fleet: str, ids: list[int]) -> Sequence[Row[Any]]:
    """Read how far workers are billed."""
    if not ids:
        return []
    # Otherwise two processes could both add the same minute; locking every worker takes longer than reading them.
    session.execute(select(Fleet.name).where(Fleet.name == fleet).with_for_update())
    values = _values(dialect, [(number, 0.0) for number in ids])
    return session.connection().execute(_read(dialect), {"fleet": fleet, **values}).all()


def _rounded(start: datetime, end: datetime, unit_s: float) -> datetime:
    """Return when the last started unit of paid time ends."""
    if unit_s <= 0 or end <= start:
        return end
    return start + timedelta(seconds=math.ceil((end - start).total_seconds() / unit_s) * unit_s)


def _text(value: str, most: int) -> str:
    """Return text from jobs, which may contain anything, in a form the store accepts."""
    return value.replace("\x00", "")[:most]


# Thousands of workers are billed with one statement each way, with their numbers in one parameter or two: a statement
# per worker takes five times as long.


def _values(dialect: str, pairs: Sequence[tuple[int, float]]) -> dict[str, Any]:
    if dialect == "postgresql":
        return {"ids": [number for number, _ in pairs], "values": [value for _, value in pairs]}
    return {"pairs": orjson.dumps(pairs).decode()}


def _given(dialect: str) -> FromClause:
    """Return a table of the values from `_values`: ``id`` and ``value``."""
    if dialect == "postgresql":
        arrays = (bindparam("ids", type_=ARRAY(BigInteger)), bindparam("values", type_=ARRAY(Double)))
        return func.unnest(*arrays).table_valued("id", "value", name="given").render_derived()
    pair = func.json_each(bindparam("pairs", type_=Text)).table_valued("value", name="pair").c.value
    columns = (func.json_extract(pair, f"$[{place}]").label(name) for place, name in enumerate(("id", "value")))
    return select(*columns).subquery("given")


@functools.cache
def _read(dialect: str) -> Select[Any]:
    given = _given(dialect)
    names = ("id", "site", "cost_per_hour", "started_at", "ended_at", "billed_until")
    return (
        select(*(_WORKERS.c[name] for name in names))
        .where(_WORKERS.c.fleet == bindparam("fleet"), _WORKERS.c.started_at.is_not(None))
        .where(_WORKERS.c.id.in_(select(given.c.id)))
    )


@functools.cache
def _bill(dialect: str) -> Update:
    given = _given(dialect)
    now = bindparam("now", type_=_WORKERS.c.billed_until.type)
    return update(_WORKERS).where(_WORKERS.c.id.in_(select(given.c.id))).values(billed_until=now)


@functools.cache
def _add_hours(dialect: str) -> Any:
    given = _given(dialect)
    worker, seconds = _WORKERS.c, given.c.value
    columns = {
        "fleet": worker.fleet,
        "worker": worker.name,
        "hour": bindparam("hour", type_=_HOURS.c.hour.type),
        "site": worker.site,
        "group": worker.group,
        "flavor": worker.flavor,
        "cost_per_hour": worker.cost_per_hour,
        "seconds": seconds,
        "cost": seconds / 3600.0 * worker.cost_per_hour,
        "core_s": seconds * worker.cpus,
    }
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    # SQLite parses ON CONFLICT as part of the join unless a WHERE precedes it.
    rows = select(*columns.values()).join_from(_WORKERS, given, worker.id == given.c.id).where(true())
    statement = build(_HOURS).from_select(list(columns), rows)
    added = {name: _HOURS.c[name] + statement.excluded[name] for name in ("seconds", "cost", "core_s")}
    return statement.on_conflict_do_update(
        index_elements=list(_HOURS.primary_key), set_={**added, "cost_per_hour": statement.excluded.cost_per_hour}
    )


@functools.cache
def _new_uses(dialect: str) -> Any:
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return build(_USES).on_conflict_do_nothing()
