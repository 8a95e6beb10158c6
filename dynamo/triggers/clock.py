"""Reject data from a clock that is ahead: they would outrank everything that follows; pure."""

from __future__ import annotations

from datetime import datetime, timedelta

#: Largest clock difference accepted between a radar and this machine.
TOLERANCE = timedelta(minutes=5)


def ahead_of(time: datetime, now: datetime) -> str:
    """Return why data of ``time`` cannot be right at ``now``; empty if they can.

    Parameters
    ----------
    time
        Time of the data.
    now
        The caller's clock.
    """
    if time <= now + TOLERANCE:
        return ""
    return f"its clock is ahead by {(time - now).total_seconds() / 60:.0f} min"
