"""Judge what was measured: against thresholds, the history of the same series, the file before, and neighbors; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from dynamo.checks.model import Check, CheckVerdict, Examination, Flag, Severity, from_json
from dynamo.doors import CHECKS
from dynamo.errors import InputError
from dynamo.plugins import PluginError
from dynamo.radar.quality.fields import change_of_area, change_of_place
from dynamo.radar.quality.neighbours import difference_db
from dynamo.times import parse_time

#: Values of a series that must be known before a new one is compared with them.
LEAST_HISTORY = 12
#: Weight of a new value in the mean and variance of a series.
_WEIGHT = 0.03
#: A file further from the one before is not compared with it.
_FOLLOWS = timedelta(minutes=20)
#: Two radars see the same storms for as long.
_SAME_TIME = timedelta(minutes=4)


@dataclass(frozen=True)
class CheckRule:
    """What the configuration says about a check; None keeps the check's own."""

    severity: Severity | None = None
    suspect: float | None = None
    fail: float | None = None
    enabled: bool = True
    series: tuple[str, ...] = ()


@dataclass
class Usual:
    """Mean and variance of the values of a series so far, newer ones counting more."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def distance(self, value: float, least: float) -> float:
        """Return how far a value is from the mean, in standard deviations of at least ``least``."""
        return abs(value - self.mean) / max(math.sqrt(self.variance), least)

    def learn(self, value: float) -> None:
        """Include a value."""
        self.count += 1
        weight = max(_WEIGHT, 1.0 / self.count)
        off = value - self.mean
        self.mean += weight * off
        self.variance = (1.0 - weight) * (self.variance + weight * off * off)


@dataclass
class SeriesMemory:
    """What is known of series: usual values by check, and the marks of the newest file."""

    usual: dict[tuple[str, str], Usual] = field(default_factory=dict)
    last: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)

    def learn(self, examination: Examination, verdicts: Sequence[CheckVerdict], newest: datetime | None = None) -> None:
        """Include a file, unless it is damaged: what damage looks like must not become usual.

        Data of a clock that is ahead, after ``newest``, would be the last file for years.
        """
        damaged = any(verdict.flag == Flag.BAD for verdict in verdicts)
        for name, (value, _) in examination.values.items():
            check = None if damaged or value is None else find(name)
            if check is not None and check.usual is not None and value is not None:
                self.usual.setdefault((examination.series, name), Usual()).learn(value)
        at = _time(examination.valid_at)
        late = self.last.get(examination.series, ("",))[0] > examination.valid_at
        # Late files must not be what the next one is compared with.
        if examination.marks and at and not (damaged or late or (newest and at > newest)):
            self.last[examination.series] = examination.valid_at, examination.marks


def find(name: str) -> Check | None:
    """Return the check of a value's name, ``CHECK`` or ``CHECK@KEY``; None if no installed package has it."""
    check = name.partition("@")[0]
    if check not in CHECKS:
        return None
    try:
        found: Check = CHECKS.load(check)
    except PluginError:
        return None
    return found


def judge(examination: Examination, memory: SeriesMemory, rules: Mapping[str, CheckRule]) -> list[CheckVerdict]:
    """Return what is to be made of everything measured in a file.

    Parameters
    ----------
    examination
        What was measured.
    memory
        What is known of its series and its neighbors; not changed.
    rules
        The configuration, by check. A check that no package has, one of a workflow module, is judged by its rule alone.
    """
    verdicts = []
    for name, (value, where) in {**examination.values, **_compared(examination, memory)}.items():
        base = name.partition("@")[0]
        rule = rules.get(base, CheckRule())
        if not rule.enabled or (rule.series and examination.series not in rule.series):
            continue
        check = _with(find(name) or Check(base, "series", "", "", None, None), rule)
        flag, place = check.flag(value), where
        if check.usual is not None and value is not None:
            usual = memory.usual.get((examination.series, name), Usual())
            known = usual.count >= LEAST_HISTORY
            flag = check.flag(usual.distance(value, check.usual)) if known else Flag.NOT_EVALUATED
            place = f"{where}, usually {usual.mean:.4g}".lstrip(", ") if known else where
        if base == "no_echo" and value == 0.0:
            flag = Flag.MISSING
        limit = {Flag.BAD: check.fail, Flag.SUSPECT: check.suspect}.get(flag)
        verdicts.append(
            CheckVerdict(base, check.severity, flag, value, limit, place, examination.file, examination.series)
        )
    return verdicts


def worst_of(flags: Sequence[int]) -> int:
    """Return the worst of several flags; what is not evaluated is no worse than what is good."""
    return max((flag for flag in flags if flag > Flag.NOT_EVALUATED), default=min(flags, default=Flag.NOT_EVALUATED))


def worst_flag(data: Mapping[str, Any]) -> int:
    """Return the worst flag of what was measured in a file, without history and configuration, as on a worker.

    Parameters
    ----------
    data
        What `Examination.to_json` returned; what a foreign module wrote amiss is not evaluated.
    """
    try:
        verdicts = judge(from_json(data), SeriesMemory(), {})
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return int(Flag.NOT_EVALUATED)
    return worst_of([int(verdict.flag) for verdict in verdicts])


def _with(check: Check, rule: CheckRule) -> Check:
    return replace(
        check,
        severity=rule.severity or check.severity,
        suspect=check.suspect if rule.suspect is None else rule.suspect,
        fail=check.fail if rule.fail is None else rule.fail,
    )


def _compared(examination: Examination, memory: SeriesMemory) -> dict[str, tuple[float | None, str]]:
    """Return the values of the checks that compare files."""
    found: dict[str, tuple[float | None, str]] = {}
    marks = examination.marks
    now = _time(examination.valid_at)
    before_at, before = memory.last.get(examination.series, ("", {}))
    then = _time(before_at)
    if now and then and now != then:
        digest = marks.get("digest") or 0.0
        if digest:
            found["repeated"] = (float(digest == before.get("digest")), f"as at {before_at}")
        if abs(now - then) <= _FOLLOWS and marks.get("image") and before.get("image"):
            for name, change in (("area_jump", change_of_area), ("place_jump", change_of_place)):
                found[name] = (change(before["image"], marks["image"]).value, f"since {before_at}")
    if now and marks.get("rain"):
        differences = []
        for series, (other_at, other) in memory.last.items():
            other_time = _time(other_at)
            near = other_time is not None and abs(now - other_time) <= _SAME_TIME
            if series != examination.series and near and other.get("rain"):
                measure = difference_db(marks["rain"], other["rain"])
                if measure.value is not None:
                    differences.append((measure.value, f"{series}: {measure.place}"))
        if differences:
            # Two radars that differ do not tell which one is off; with several, most of them do.
            differences.sort()
            found["neighbour"] = differences[(len(differences) - 1) // 2]
    return found


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except InputError:
        return None
