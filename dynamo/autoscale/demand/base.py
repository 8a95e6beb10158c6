"""What a source of demand is, and how several add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from dynamo.autoscale.model import Demand, Work
from dynamo.errors import RetryableError

#: How far ahead is looked, unless somebody says otherwise: an hour, as storms and boots need.
HORIZON_S = 3600.0


class DemandSource(Protocol):
    """Knows some of the work; what different sources know must not overlap, so that they add up."""

    @property
    def name(self) -> str:
        """``queue``, ``runs``, ``forecast`` or another; each item of work carries it."""
        ...

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        """Return the work that is there, or expected until ``now`` and ``horizon_s`` seconds.

        Raises
        ------
        RetryableError
            If it cannot say anything now.
        """
        ...


@runtime_checkable
class Remarking(Protocol):
    """A source that has something to say about its last answer."""

    @property
    def notes(self) -> Mapping[str, str]:
        """Remarks on the last answer, by what they are about."""
        ...


def gather(sources: Sequence[DemandSource], now: datetime, horizon_s: float = HORIZON_S) -> Demand:
    """Ask all sources and add up what they say.

    Parameters
    ----------
    sources
        With names that differ.
    now
        The caller's clock.
    horizon_s
        How far the forecast looks, seconds.

    Returns
    -------
    Demand
        A source that fails with a `RetryableError` is in ``missing``, with its reason; the others still count.
    """
    work: list[Work] = []
    missing: dict[str, str] = {}
    notes: dict[str, str] = {}
    for source in sources:
        try:
            work += source.work(now, horizon_s)
        except RetryableError as error:
            missing[source.name] = str(error)
            continue
        if isinstance(source, Remarking):
            notes |= {f"{source.name} {subject}": text for subject, text in source.notes.items()}
    return Demand(taken_at=now, work=tuple(work), horizon_s=horizon_s, missing=missing, notes=notes)
