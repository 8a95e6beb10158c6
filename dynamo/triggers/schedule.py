"""Trigger kind `schedule`: every N minutes, or at minutes of the hour, with the newest arrival of a feed; pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.triggers.condition import Condition, Verdict, judge

_HOUR = 60
_DAY = 24 * _HOUR


@dataclass(frozen=True)
class ScheduleTrigger:
    """Slots in time, in UTC; exactly one of ``every_min`` and ``at_minutes`` is given.

    Slots of ``every_min`` are counted from midnight, so that a restart does not shift them.

    Raises
    ------
    InputError
        If none or both are given, or a number is out of range.
    """

    feed: str
    every_min: int | None = None
    at_minutes: tuple[int, ...] = ()
    condition: Condition | None = None

    def __post_init__(self) -> None:
        if (self.every_min is None) == (not self.at_minutes):
            raise InputError("a schedule needs one of every_min and at_minutes", where=f"schedule on {self.feed}")
        if self.every_min is not None and not 1 <= self.every_min <= _DAY:
            raise InputError(f"every {self.every_min} minutes", where="every_min", expected=f"1 to {_DAY}")
        if any(not 0 <= minute < _HOUR for minute in self.at_minutes):
            raise InputError(f"{list(self.at_minutes)} in an hour", where="at_minutes", expected="0 to 59")

    def next_after(self, time: datetime) -> datetime:
        """Return the first slot strictly after ``time``."""
        utc = time.astimezone(UTC)
        if self.every_min is not None:
            midnight = utc.replace(hour=0, minute=0, second=0, microsecond=0)
            passed = int((utc - midnight) / timedelta(minutes=self.every_min))
            slot = midnight + timedelta(minutes=self.every_min * (passed + 1))
            # The last slot of a day may reach beyond midnight, where counting starts anew.
            return min(slot, midnight + timedelta(days=1))
        hour = utc.replace(minute=0, second=0, microsecond=0)
        slots = [
            hour + timedelta(hours=later, minutes=minute) for later in (0, 1) for minute in sorted(self.at_minutes)
        ]
        return next(slot for slot in slots if slot > utc)

    def due(self, last: datetime | None, now: datetime) -> datetime | None:
        """Return the newest slot in ``(last, now]``, or None; slots that were missed while down count once.

        Without a ``last`` (the first start) nothing is due: the schedule begins at its next slot.
        """
        if last is None:
            return None
        slot, found = self.next_after(last), None
        horizon = now - timedelta(days=1)
        if slot < horizon:
            slot = self.next_after(horizon)
        while slot <= now:
            found, slot = slot, self.next_after(slot)
        return found

    def judge(self, facts: InputFacts | None) -> Verdict:
        """Return whether the newest arrival starts the workflow; raises `InputError` as `judge`."""
        return judge(self.condition, facts)
