"""Series: what there is of each source and radar, counted in the transactions that add to it.

A run belongs to a *slot*: workflow, trigger, radar, variant and valid time. The newest publication of a slot is
current, older ones are superseded. Counters by series and by day answer what there is without reading runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Product, Run, Series, SeriesDay
from dynamo.times import ahead_of, utc_now

CURRENT: Final = "current"
SUPERSEDED: Final = "superseded"
FEED: Final = "feed"
WORKFLOW: Final = "workflow"


@dataclass(frozen=True)
class SeriesName:
    """What identifies a series; feeds have neither trigger nor variant."""

    kind: str
    name: str
    trigger: str = ""
    radar: str = ""
    variant: str = ""

    @classmethod
    def of_run(cls, run: Run) -> SeriesName:
        """Return the series that a run's products belong to."""
        return cls(WORKFLOW, run.workflow, run.trigger, run.radar, run.variant)


def slot_of(run: Run) -> datetime:
    """Return the valid time that a run's products count for."""
    return run.valid_at or run.created_at


def count_arrival(session: Session, arrival: Arrival) -> None:
    """Count an accepted arrival that was just recorded; one of a valid time that is there fills no new slot."""
    if arrival.valid_at is None:
        return
    series = _locked(session, SeriesName(FEED, arrival.feed, radar=arrival.radar), arrival.valid_at)
    known = session.scalar(
        select(Arrival.id)
        .where(
            Arrival.feed == arrival.feed,
            Arrival.radar == arrival.radar,
            Arrival.valid_at == arrival.valid_at,
            Arrival.state == "accepted",
            Arrival.id != arrival.id,
        )
        .limit(1)
    )
    _add(session, series, arrival.valid_at, slots=int(known is None), made=1, size=arrival.size)
    _hear(series, arrival.valid_at)


def count_publication(session: Session, run: Run, size: int) -> None:
    """Make a run that was just published, of ``size`` bytes, the current one of its slot."""
    at = slot_of(run)
    series = _locked(session, SeriesName.of_run(run), at)
    older = session.scalars(select(Run.id).where(*_siblings(run), Run.standing == CURRENT)).all()
    if older:
        session.execute(update(Run).where(Run.id.in_(older)).values(standing=SUPERSEDED))
    session.execute(update(Run).where(Run.id == run.id).values(standing=CURRENT))
    _add(session, series, at, slots=int(not older), made=1, size=size)
    if run.origin != "backfill":
        _hear(series, at)


def withdraw(session: Session, run: Run) -> None:
    """Take back what `count_publication` counted, before a run's products are made again or removed for good.

    The newest of the superseded runs of its slot is current again, if there is one.
    """
    if not run.standing:
        return
    at = slot_of(run)
    series = _locked(session, SeriesName.of_run(run), at)
    size = session.scalar(select(func.coalesce(func.sum(Product.bytes), 0)).where(Product.run_id == run.id)) or 0
    heir = None
    if run.standing == CURRENT:
        superseded = select(Run.id).where(*_siblings(run), Run.standing == SUPERSEDED)
        heir = session.scalar(superseded.order_by(Run.published_at.desc()).limit(1))
        if heir is not None:
            session.execute(update(Run).where(Run.id == heir).values(standing=CURRENT))
    gone = run.standing == CURRENT and heir is None
    session.execute(update(Run).where(Run.id == run.id).values(standing=""))
    _add(session, series, at, slots=-int(gone), made=-1, size=-int(size))


def _siblings(run: Run) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that select the other runs of a run's slot."""
    return (
        Run.workflow == run.workflow,
        Run.trigger == run.trigger,
        Run.radar == run.radar,
        Run.variant == run.variant,
        # Without a valid time a run is a slot of its own.
        Run.valid_at == run.valid_at if run.valid_at is not None else Run.id == "",
        Run.id != run.id,
    )


def _locked(session: Session, name: SeriesName, at: datetime) -> Series:
    """Return the row of a series, made if it is new; other processes wait until this transaction ends."""
    identity = (
        Series.kind == name.kind,
        Series.name == name.name,
        Series.trigger == name.trigger,
        Series.radar == name.radar,
        Series.variant == name.variant,
    )
    statement = select(Series).where(*identity).with_for_update()
    found = session.scalar(statement)
    if found is None:
        values: dict[str, Any] = {"slots": 0, "made": 0, "bytes": 0, "live_at": None, "heard_at": None}
        insert_new(session, Series, **vars(name), **values, oldest_at=at, newest_at=at)
        found = session.scalars(statement).one()
    return found


def _add(session: Session, series: Series, at: datetime, *, slots: int, made: int, size: int) -> None:
    day = at.astimezone(UTC).strftime("%Y%m%d")
    fresh = insert_new(session, SeriesDay, series_id=series.id, day=day, slots=slots, made=made, bytes=size)
    if not fresh:
        session.execute(
            update(SeriesDay)
            .where(SeriesDay.series_id == series.id, SeriesDay.day == day)
            .values(slots=SeriesDay.slots + slots, made=SeriesDay.made + made, bytes=SeriesDay.bytes + size)
        )
    empty = series.slots == 0
    series.slots, series.made, series.bytes = series.slots + slots, series.made + made, series.bytes + size
    if not ahead_of(at, utc_now()):
        # The first slot may have been one of a clock that is ahead.
        series.oldest_at = at if empty else min(series.oldest_at, at)
        series.newest_at = at if empty or ahead_of(series.newest_at, utc_now()) else max(series.newest_at, at)


def _hear(series: Series, at: datetime) -> None:
    now = utc_now()
    series.heard_at = now
    if not ahead_of(at, now):
        series.live_at = at if series.live_at is None else max(series.live_at, at)
