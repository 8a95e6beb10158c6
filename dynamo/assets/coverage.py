"""What there is of an asset: counters by radar, valid times in a range, and the gaps between them.

Counters come from the store's series; valid times are read by an index, only in the range asked for.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from dynamo.assets.model import Asset
from dynamo.runs.series import CURRENT
from dynamo.store.models import Arrival, Run, Series

#: Newest valid times from which a cadence is learned.
_LEARNED_FROM = 30
#: Two valid times further apart than this many cadences have a gap between them: files are rarely on time.
_LATE = 1.75


@dataclass(frozen=True)
class Gap:
    """A time without data between two valid times, or between one and an end of the range.

    Attributes
    ----------
    after, before
        The valid times around it; None where the range begins or ends.
    begin, end
        When data are missing.
    missing
        How many valid times are missing, by the cadence.
    """

    after: datetime | None
    before: datetime | None
    begin: datetime
    end: datetime
    missing: int


def series_of(session: Session, asset: Asset, *, radar: str | None = None, variant: str = "") -> Sequence[Series]:
    """Return the counters of an asset, by radar; all outputs of a workflow share theirs."""
    statement = select(Series).where(
        Series.kind == asset.kind, Series.name == asset.source, Series.variant == variant, Series.made > 0
    )
    if radar is not None:
        statement = statement.where(func.upper(Series.radar) == radar.upper())
    return session.scalars(statement.order_by(Series.radar, Series.trigger)).all()


def valid_times(session: Session, series: Series, begin: datetime, end: datetime) -> list[datetime]:
    """Return the valid times of a series from ``begin`` to before ``end``, each once, in order."""
    column, conditions = _partitions(series)
    statement = select(column).where(*conditions, column >= begin, column < end).distinct().order_by(column)
    return [time for time in session.scalars(statement) if time is not None]


def count_between(session: Session, series: Series, begin: datetime, end: datetime) -> int:
    """Return how many valid times a series has from ``begin`` to before ``end``."""
    column, conditions = _partitions(series)
    statement = select(func.count(column.distinct())).where(*conditions, column >= begin, column < end)
    return session.scalar(statement) or 0


def cadence_of(session: Session, series: Series) -> float | None:
    """Return the usual seconds between the newest valid times of a series; None for fewer than three."""
    column, conditions = _partitions(series)
    newest = select(column).where(*conditions, column <= series.newest_at).distinct().order_by(column.desc())
    return usual_step([time for time in session.scalars(newest.limit(_LEARNED_FROM)) if time is not None])


def usual_step(times: Sequence[datetime]) -> float | None:
    """Return the median of the steps between times, seconds; None for fewer than three times.

    Examples
    --------
    >>> from datetime import UTC
    >>> usual_step([datetime(2026, 6, 1, 0, minute, tzinfo=UTC) for minute in (0, 5, 10, 30)])
    300.0
    """
    ordered = sorted(set(times))
    if len(ordered) < 3:
        return None
    return statistics.median((b - a).total_seconds() for a, b in pairwise(ordered))


def gaps_between(times: Sequence[datetime], cadence_s: float, begin: datetime, end: datetime) -> list[Gap]:
    """Return where valid times are missing.

    Parameters
    ----------
    times
        The valid times in the range, in order.
    cadence_s
        Seconds between valid times.
    begin, end
        The range.

    Examples
    --------
    >>> from datetime import UTC
    >>> times = [datetime(2026, 6, 1, 0, minute, tzinfo=UTC) for minute in (0, 5, 20, 25)]
    >>> (gap,) = gaps_between(times, 300, times[0], times[3])
    >>> f"{gap.begin:%H:%M} {gap.end:%H:%M} {gap.missing}"
    '00:10 00:20 2'
    """
    step = timedelta(seconds=cadence_s)
    if not times:
        missing = round((end - begin) / step)
        return [Gap(None, None, begin, end, missing)] if missing > 0 else []
    found = []
    if times[0] - begin >= _LATE * step:
        found.append(Gap(None, times[0], begin, times[0], round((times[0] - begin) / step)))
    for after, before in pairwise(times):
        if before - after >= _LATE * step:
            found.append(Gap(after, before, after + step, before, max(round((before - after) / step) - 1, 1)))
    if end - times[-1] >= _LATE * step:
        found.append(Gap(times[-1], None, times[-1] + step, end, max(round((end - times[-1]) / step) - 1, 1)))
    return found


def _partitions(
    series: Series,
) -> tuple[InstrumentedAttribute[datetime | None], tuple[ColumnElement[bool], ...]]:
    """Return the column of valid times and the conditions of a series, in the order of an index."""
    if series.kind == "feed":
        accepted = Arrival.state == "accepted"
        return Arrival.valid_at, (Arrival.feed == series.name, Arrival.radar == series.radar, accepted)
    return Run.valid_at, (
        Run.workflow == series.name,
        Run.trigger == series.trigger,
        Run.radar == series.radar,
        Run.variant == series.variant,
        Run.standing == CURRENT,
    )
