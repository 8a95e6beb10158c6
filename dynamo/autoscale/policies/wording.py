"""Format amounts and times for decision reasons."""

from __future__ import annotations

from datetime import datetime, timedelta


def core_time(core_s: float) -> str:
    """Return core-seconds as text, such as ``41 core-min`` or ``12 core-s``."""
    if core_s < 120:
        return f"{core_s:.0f} core-s"
    if core_s < 120 * 60:
        return f"{core_s / 60:.0f} core-min"
    return f"{core_s / 3600:.1f} core-h"


def moment(now: datetime, after_s: float) -> str:
    """Return a time of day, UTC, such as ``18:22``."""
    return f"{now + timedelta(seconds=after_s):%H:%M}"


def workers_word(count: int) -> str:
    """Return ``1 worker`` or ``3 workers``."""
    return f"{count} worker" if count == 1 else f"{count} workers"
