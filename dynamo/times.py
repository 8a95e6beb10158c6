"""Aware UTC datetimes, and the only place that parses and formats them as text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dynamo.errors import InputError

#: Largest clock difference accepted between the maker of data, such as a radar, and this machine.
CLOCK_TOLERANCE = timedelta(minutes=5)
#: Data of other years come from damaged files.
PLAUSIBLE_YEARS = "a time from 1990 to 2100"
_EARLIEST, _LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def utc_now() -> datetime:
    """Return the current time as an aware UTC datetime."""
    return datetime.now(UTC)


def ahead_of(time: datetime, now: datetime) -> str:
    """Return why data of ``time`` cannot be right at ``now``; empty if they can.

    Data from a clock that is ahead would outrank everything that follows, so nothing that compares times accepts them.

    Parameters
    ----------
    time
        Time of the data.
    now
        The caller's clock.
    """
    if time <= now + CLOCK_TOLERANCE:
        return ""
    return f"its clock is ahead by {in_words(time - now)}"


def in_words(length: timedelta) -> str:
    """Return a length of time in minutes, hours or days.

    Examples
    --------
    >>> in_words(timedelta(minutes=40)), in_words(timedelta(hours=30)), in_words(timedelta(days=400))
    ('40 min', '30 h', '400 days')
    """
    seconds = length.total_seconds()
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def is_plausible(time: datetime) -> bool:
    """Whether data can be from ``time``: weather radars have been digital since about 1990."""
    return _EARLIEST <= time <= _LATEST


def from_epoch(seconds: float) -> datetime:
    """Return the aware UTC datetime of ``seconds`` since 1970-01-01T00:00:00Z."""
    return datetime.fromtimestamp(seconds, UTC)


def to_iso(time: datetime) -> str:
    """Return ``time`` as ISO 8601 in UTC with a ``Z``; milliseconds only if nonzero."""
    utc = time.astimezone(UTC)
    spec = "milliseconds" if utc.microsecond else "seconds"
    return utc.isoformat(timespec=spec).replace("+00:00", "Z")


def parse_time(text: str, *, where: object = None) -> datetime:
    """Parse an ISO 8601 time; the default offset is UTC.

    Raises
    ------
    InputError
        If ``text`` is not an ISO 8601 date and time.

    Examples
    --------
    >>> to_iso(parse_time("2019-06-10T02:00+02:00"))
    '2019-06-10T00:00:00Z'
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"not a time: {text!r}", where=where, expected="ISO 8601, e.g. 2019-06-10T00:00:00Z") from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def file_stamp(time: datetime) -> str:
    """Return ``YYYYmmdd-HHMMSS`` in UTC, the form used in product names."""
    return time.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
