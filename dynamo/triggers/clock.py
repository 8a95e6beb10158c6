"""What a trigger does with data whose clock is ahead: nothing, for they would outlive all that comes after; pure."""

from __future__ import annotations

from datetime import datetime, timedelta

#: Clocks of radars and of this machine may differ by so much.
TOLERANCE = timedelta(minutes=5)


def ahead_of(time: datetime, now: datetime) -> str:
    """Return why data of ``time`` cannot be right at ``now``; empty where they can.

    Parameters
    ----------
    time
        Of the data.
    now
        The caller's clock.
    """
    if time <= now + TOLERANCE:
        return ""
    return f"its clock is in the future by {(time - now).total_seconds() / 60:.0f} min"
