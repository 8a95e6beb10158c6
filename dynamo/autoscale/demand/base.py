"""The interface of a demand source, and how several add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from dynamo.autoscale.model import Demand, Work
from dynamo.errors import RetryableError

#: Default horizon, seconds: one hour, long enough for storms and boots.
HORIZON_S = 3600.0


class DemandSource(Protocol):
    """Knows part of the work; sources must not overlap, so that they add up."""

    @property
    def name(self) -> str:
        """``queue``, ``runs``, ``forecast`` or another; each item of work carries it."""
        ...

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:
        """Return the work present now, or expected within ``horizon_s`` seconds of ``now``.

        Raises
        ------
        RetryableError
            If it cannot answer now.
        """
        ...


@runtime_checkable
class Remarking(Protocol):
    """A source with remarks on its last answer."""

    @property
    def notes(self) -> Mapping[str, str]:
        """Remarks on the last answer, by subject."""
        ...


def gather(sources: Sequence[DemandSource], now: datetime, horizon_s: float = HORIZON_S) -> Demand:
    """Query all sources and add up their answers.

    Parameters
    ----------
    sources
        With distinct names.
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
