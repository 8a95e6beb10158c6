"""Trigger kind `schedule`: every N minutes, or at fixed minutes of the hour, with the newest arrival of a feed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from dynamo.config.file import Config
from dynamo.config.triggers import ConditionOption, TriggerSection
from dynamo.errors import InputError
from dynamo.inspection.facts import facts_from_json
from dynamo.store.models import Arrival
from dynamo.times import to_iso
from dynamo.triggers.base import Due, Trigger, TriggerKind
from dynamo.triggers.book import Book
from dynamo.triggers.condition import Condition, condition_of, judge, levels_of
from dynamo.triggers.outlook.base import Outlook, Start
from dynamo.triggers.outlook.pictures import chance, shifted, steps
from dynamo.triggers.verdict import Verdict, unusable

_HOUR = 60
_DAY = 24 * _HOUR
_log = logging.getLogger("dynamo.triggers")


class ScheduleOptions(TriggerSection):
    """At fixed times, with the newest file of the feed. Set one of `every_min` and `at_minutes`."""

    kind: Literal["schedule"] = "schedule"
    every_min: int | None = Field(None, ge=1, le=_DAY, description="Run every N minutes, from 00:00 UTC.", examples=[5])
    at_minutes: list[int] = Field(
        default_factory=list, description="Run at these minutes of each hour.", examples=[[0, 30]]
    )
    condition: ConditionOption = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.every_min is None) == (not self.at_minutes):
            raise ValueError("a schedule needs one of every_min and at_minutes")
        return self


@dataclass(frozen=True)
class ScheduleTrigger(Trigger):
    """Time slots in UTC; exactly one of ``every_min`` and ``at_minutes`` is given.

    Slots of ``every_min`` count from midnight, so that a restart does not shift them.

    Raises
    ------
    InputError
        If none or both are given, or a number is out of range.
    """

    ask_s: ClassVar[float | None] = 1.0
    # The first call starts the schedule.
    ask_at_start: ClassVar[bool] = True

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
            # The last slot of a day may reach beyond midnight, where counting restarts.
            return min(slot, midnight + timedelta(days=1))
        hour = utc.replace(minute=0, second=0, microsecond=0)
        slots = [
            hour + timedelta(hours=later, minutes=minute) for later in (0, 1) for minute in sorted(self.at_minutes)
        ]
        return next(slot for slot in slots if slot > utc)

    def newest_slot(self, last: datetime | None, now: datetime) -> datetime | None:
        """Return the newest slot in ``(last, now]``, or None; slots missed while down count once.

        Without ``last`` (the first start) nothing is due: the schedule starts at its next slot.
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

    def upcoming(self, now: datetime) -> Iterator[datetime]:
        """Yield the slots after ``now``."""
        while True:
            now = self.next_after(now)
            yield now

    @property
    def levels(self) -> frozenset[float]:
        """The level of its condition."""
        return levels_of(self.condition)

    def due(self, book: Book) -> Sequence[Due]:
        """Decide about the newest slot that has passed; storing the decision completes it."""
        slot = self.newest_slot(book.recall().at, book.now)
        if slot is None:
            return ()
        book.keep({}, at=slot)
        subject = f"schedule {book.name} {to_iso(slot)}"
        newest, ahead = book.newest(self.feed), list(book.ahead(self.feed))
        if newest is None:
            if ahead:
                return (Due(subject, unusable(f"every file's clock is ahead: {', '.join(ahead)}")),)
            _log.warning("no arrival for the schedule", extra={"trigger": book.name, "slot": to_iso(slot)})
            return ()
        verdict = self._judge(newest)
        data = {"feed": newest.feed, "path": newest.path, **({"ahead": ahead} if ahead else {}), **verdict.data}
        reason = f"{verdict.reason}; files from a clock that is ahead left out" if ahead else verdict.reason
        return (Due(subject, replace(verdict, reason=reason, data=data), (newest,)),)

    def uses(self, feed: str, path: PurePath) -> bool:  # noqa: ARG002 - the interface
        """Whether its runs may take this file: any of its feed."""
        return feed == self.feed

    def slot_at(self, time: datetime) -> datetime:
        """Return the slot for which data are the newest, if no others come before it."""
        return self.next_after(time - timedelta(microseconds=1))

    def again(self, arrivals: Sequence[Arrival], book: Book) -> Sequence[Due]:
        """Decide on the newest arrival of a slot."""
        newest = arrivals[-1]
        slot = self.slot_at(newest.valid_at or newest.detected_at)
        return (Due(f"schedule {book.name} {to_iso(slot)}", self._judge(newest), (newest,)),)

    def expects(self, outlook: Outlook) -> Iterable[Start]:
        """Expect a run in each slot, with the facts extrapolated from the newest file."""
        arrived = outlook.newest()
        if arrived is None:
            outlook.remark_on(())
            return
        facts = outlook.facts([arrived]).get(arrived.id)
        time, end = self.next_after(outlook.now), outlook.now + timedelta(seconds=outlook.horizon_s)
        while time <= end:
            if facts is None:
                yield Start(time, 1.0, None)
            else:
                # A newer file will have arrived by then; if the feed is silent, the old one is used again.
                minutes = (time - arrived.time).total_seconds() / 60.0
                picture = shifted(facts, minutes)
                known_as = ("arrival", arrived.id, steps(facts, minutes))
                yield Start(time, chance(self.condition, picture, minutes), picture, known_as)
            time = self.next_after(time)

    def _judge(self, arrival: Arrival) -> Verdict:
        try:
            return judge(self.condition, None if arrival.facts is None else facts_from_json(arrival.facts))
        except InputError as error:
            return unusable(f"cannot be judged: {error}")


def _make(options: ScheduleOptions, config: Config) -> ScheduleTrigger:
    return ScheduleTrigger(options.feed, options.every_min, tuple(options.at_minutes), condition_of(options.condition))


KIND = TriggerKind(ScheduleOptions, _make)
