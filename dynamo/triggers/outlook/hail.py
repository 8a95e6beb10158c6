"""Where hail work is likely: each radar's spell, and the storms the newest nowcast shows near it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dynamo.inspection.facts import InputFacts
from dynamo.triggers.outlook.pictures import StormMap, StormsNear, likely
from dynamo.triggers.outlook.streams import Stream
from dynamo.triggers.spells import Precursor, PrecursorState

#: Without a nowcast, half of the spells are over this many minutes after their hold.
_HALF_SPELL_MIN = 60.0
#: Range of radars whose files do not give one, km.
_RANGE_KM = 150.0
#: Storms that have not started a spell must grow by this factor to start one.
_GROWTH = 1.5


@dataclass(frozen=True)
class Spell:
    """The hail work of one radar, now and in the foreseeable future.

    Attributes
    ----------
    stream
        The radar's files.
    state, precursor
        Its state after the last file, and when work is worth it.
    near
        The strong echo around it in the newest nowcast; None if no nowcast covers it.
    """

    stream: Stream
    state: PrecursorState
    precursor: Precursor
    near: StormsNear | None = None

    def chance(self, now: datetime, time: datetime) -> float:
        """Return how likely a file of this radar arriving at ``time`` starts hail work, as seen ``now``."""
        then, today = self.stream.data_time(time), self.stream.data_time(now)
        minutes = max(0.0, (then - today).total_seconds() / 60.0)
        seen = self.state.seen if self.state.active else None
        active = seen is not None and self.stream.newest.valid_at - seen <= self.precursor.hold
        if active and seen is not None and then - seen <= self.precursor.hold:
            # The spell holds, whatever the weather does.
            return 1.0
        near = self.near
        if active and seen is not None:
            beyond = (then - seen - self.precursor.hold).total_seconds() / 60.0
            lasting = float(0.5 ** (beyond / _HALF_SPELL_MIN))
            if near is None or near.at(today) <= 0:
                return lasting
            # It ends one hold after the storms are gone.
            return likely(
                near.at(then - self.precursor.hold), self.precursor.area_km2 * self.precursor.stop_share, minutes
            )
        if near is None:
            return 0.0
        needed = max(self.precursor.area_km2, _GROWTH * near.at(self.stream.newest.valid_at))
        return likely(near.at(then), needed, minutes)


def nearest_nowcast(nowcasts: Iterable[StormMap], sweep: InputFacts | None) -> StormsNear | None:
    """Return the strong echo near a radar from the newest nowcast that covers it.

    Parameters
    ----------
    nowcasts
        The newest of each feed.
    sweep
        The newest file of the radar, which gives its location.
    """
    if sweep is None or sweep.position is None:
        return None
    range_km = min(sweep.range_km or _RANGE_KM, _RANGE_KM)
    for nowcast in sorted(nowcasts, key=lambda storms: storms.issued, reverse=True):
        found = nowcast.near(sweep.position, range_km)
        if found is not None:
            return found
    return None
