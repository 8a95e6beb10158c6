"""What a check is, what one measured, and what was made of it: plain data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

from dynamo.radar.quality.view import Measure

#: What the measure of a check is given: a `SweepView`, a `Volume`, or a `FieldView`. The others are measured where
#: several fields, files, or products are at hand.
Subject = Literal["sweep", "volume", "field", "nowcast", "product", "series"]
Severity = Literal["warn", "block"]


class Flag(IntEnum):
    """QARTOD's flags (IOOS Manual for Quality Control of Real-Time Data, table of flags)."""

    GOOD = 1
    NOT_EVALUATED = 2
    SUSPECT = 3
    BAD = 4
    MISSING = 9


@dataclass(frozen=True)
class Check:
    """One check of data.

    Parameters
    ----------
    name, subject, description, unit
        Its name in `[checks.NAME]`, what it is given, what its value is, and the value's unit.
    suspect, fail
        Values beyond these are flagged 3 and 4; None never is. With ``usual``, both count standard deviations.
    measure
        Returns the value; None where the value comes from comparing files.
    low
        Whether small values are bad, not large ones.
    usual
        Compare the value with its own history, in which it varies by at least this much; None compares the value.
    severity
        ``block`` keeps a run's products from being published if its data are flagged 4.
    """

    name: str
    subject: Subject
    description: str
    unit: str
    suspect: float | None
    fail: float | None
    measure: Callable[[Any], Measure] | None = None
    low: bool = False
    usual: float | None = None
    severity: Severity = "warn"

    def flag(self, value: float | None) -> Flag:
        """Return the flag of a value, or of its distance from the usual."""
        if value is None or math.isnan(value):
            return Flag.NOT_EVALUATED
        sign = -1.0 if self.low else 1.0
        if self.fail is not None and sign * value > sign * self.fail:
            return Flag.BAD
        if self.suspect is not None and sign * value > sign * self.suspect:
            return Flag.SUSPECT
        return Flag.GOOD


@dataclass(frozen=True)
class Examination:
    """What the checks measured in one file, small enough to travel with a job's metrics.

    Parameters
    ----------
    series
        What the file's history is kept under: a radar, or the source of its grids.
    file, kind, valid_at
        Its name, what it holds (``volume``, ``grid``, ``product``), and its time, ISO 8601.
    values
        Value and place by check; checks with a history for each elevation are named ``CHECK@KEY``.
    marks
        What the next file of the series, and those of neighbors, are compared with.
    """

    series: str
    file: str
    kind: str
    valid_at: str
    values: Mapping[str, tuple[float | None, str]]
    marks: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "values": {name: list(value) for name, value in self.values.items()}}


def from_json(data: Mapping[str, Any]) -> Examination:
    """Read what `Examination.to_json` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError, AttributeError
        If it is something else.
    """
    values = {
        str(name): (None if value[0] is None else float(value[0]), str(value[1])[:200])
        for name, value in data["values"].items()
    }
    text = {name: str(data[name])[:200] for name in ("series", "file", "kind", "valid_at")}
    return Examination(values=values, marks=dict(data["marks"]), **text)


@dataclass(frozen=True)
class CheckVerdict:
    """What was made of one value: its flag, and the limit that decided."""

    check: str
    severity: Severity
    flag: Flag
    value: float | None
    limit: float | None
    place: str
    file: str = ""
    series: str = ""

    @property
    def blocks(self) -> bool:
        """Whether nothing may be published that was made from these data."""
        return self.severity == "block" and self.flag in (Flag.BAD, Flag.MISSING)

    def sentence(self) -> str:
        """Return the verdict in one line."""
        value = "no value" if self.value is None else f"{self.value:g}"
        limit = "" if self.limit is None else f", limit {self.limit:g}"
        return f"{self.check}: {value}{limit}" + (f" ({self.place})" if self.place else "")
