"""Read CF units of time such as ``seconds since 1970-01-01T00:00:00Z``, in the forms that writers use."""

from __future__ import annotations

import re
from datetime import datetime

from dynamo.errors import InputError
from dynamo.times import parse_time, to_iso

#: The unit, the date, the time of day, the offset from UTC: ``Z``, ``UTC``, ``+00:00``, ``-6``, ``0:00``.
_UNITS = re.compile(
    r"(?P<unit>[a-z]+) since (?P<date>\d{4}-\d{1,2}-\d{1,2})"
    r"(?:[T ]+(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:\.\d*)?)?))?"
    r" *(?P<offset>Z|UTC|GMT|[+-]?\d{1,2}(?::?\d{2})?)?",
    re.IGNORECASE,
)
_EXPECTED = "CF units of time, such as seconds since 1970-01-01T00:00:00Z"


def time_units(text: str) -> tuple[str, datetime]:
    """Return the unit and the reference time of CF units.

    Raises
    ------
    InputError
        If the text is in no known form: a guess could be wrong by a day.

    Examples
    --------
    >>> unit, reference = time_units("seconds since 2022-06-28 07:19:28 0:00")
    >>> unit, to_iso(reference)
    ('seconds', '2022-06-28T07:19:28Z')
    >>> to_iso(time_units("hours since 2022-06-28 00:00 +10:00")[1])
    '2022-06-27T14:00:00Z'
    """
    match = _UNITS.fullmatch(text.strip())
    if match is None:
        raise InputError(f"units of time {text!r:.80}", expected=_EXPECTED)
    year, month, day = match["date"].split("-")
    hour, minute, second = [*(match["time"] or "0:00").split(":"), "0"][:3]
    clock = f"{int(hour):02}:{minute}:{float(second or 0):09.6f}"
    try:
        date = f"{year}-{int(month):02}-{int(day):02}"
        return match["unit"].lower(), parse_time(f"{date}T{clock}{_offset(match['offset'])}")
    except InputError as error:
        raise InputError(f"units of time {text!r:.80}: {error.what}", expected=_EXPECTED) from error


def plain_units(text: str) -> str:
    """Return CF units of time with their reference time in ISO 8601, UTC; raises as `time_units`."""
    unit, reference = time_units(text)
    return f"{unit} since {to_iso(reference)}"


def _offset(text: str | None) -> str:
    if text is None or text.upper() in ("Z", "UTC", "GMT"):
        return "+00:00"
    sign = "-" if text.startswith("-") else "+"
    hours, _, minutes = text.lstrip("+-").partition(":")
    if not minutes and len(hours) > 2:
        hours, minutes = hours[:-2], hours[-2:]
    return f"{sign}{int(hours):02}:{minutes or '00'}"
