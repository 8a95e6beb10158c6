"""The slots of a network: when all radars of a minute have reported, or the deadline has passed; pure.

A network's composite of a minute runs once: as soon as every radar has its products of that minute (one, or as many as
it makes sweeps), or at the deadline with those that have arrived. Later ones start nothing. A radar whose sweeps were
found not worth the work is quiet: present, with nothing to show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from dynamo.errors import InputError

Action = Literal["wait", "run", "skip"]


@dataclass(frozen=True)
class GatherSettings:
    """How the products of a network are combined.

    Parameters
    ----------
    radars
        The network.
    period
        Slot length; a product belongs to the slot of its valid time.
    deadline
        Time after the end of the slot; what has not arrived by then is missing.
    minimum
        Smallest number of radars worth a composite.
    each
        Products of a radar in a slot, such as its sweeps: with fewer, wait. At the deadline a radar with fewer is used
        anyway and reported as incomplete.

    Raises
    ------
    InputError
        If there is no radar, one is named twice, or a number is out of range.
    """

    radars: tuple[str, ...]
    period: timedelta = timedelta(minutes=1)
    deadline: timedelta = timedelta(seconds=30)
    minimum: int = 1
    each: int = 1

    def __post_init__(self) -> None:
        if not self.radars or len(set(self.radars)) != len(self.radars):
            raise InputError(
                f"a network of {list(self.radars)}", where="radars", expected="different names, at least one"
            )
        if self.period <= timedelta(0) or self.deadline < timedelta(0):
            raise InputError("a period or deadline below zero", where="gather", expected="seconds above zero")
        if not 1 <= self.minimum <= len(self.radars):
            raise InputError(f"at least {self.minimum} radars", where="minimum", expected=f"1 to {len(self.radars)}")
        if self.each < 1:
            raise InputError(f"{self.each} products of each radar", where="each", expected="1 or more")


@dataclass(frozen=True)
class Piece:
    """One product of one radar that could go into a composite: its valid time, and the caller's name for it."""

    radar: str
    time: datetime
    name: str


@dataclass(frozen=True)
class Gathering:
    """What to do about a slot, and why.

    ``pieces`` are the products to use, in network order, newest first for each radar; ``check_at`` is when to check
    again if nothing else happens (None: never).
    """

    action: Action
    slot: datetime
    pieces: tuple[Piece, ...]
    missing: tuple[str, ...]
    reason: str
    check_at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def slot_of(time: datetime, period: timedelta) -> datetime:
    """Return the start of the slot a time belongs to; slots count from midnight UTC."""
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (time - midnight) // period * period


def gather(
    pieces: Iterable[Piece],
    slot: datetime,
    now: datetime,
    settings: GatherSettings,
    *,
    done: bool = False,
    quiet: Mapping[str, int] | None = None,
) -> Gathering:
    """Decide about the composite of one slot.

    Parameters
    ----------
    pieces
        The products at hand, of any slot and radar; others are ignored.
    slot
        The start of the slot, see `slot_of`.
    now
        The caller's clock.
    settings
        The network, its period and deadline.
    done
        Whether the composite of this slot was already started: it never starts twice.
    quiet
        Sweeps of this slot, by radar, found not worth a product.

    Returns
    -------
    Gathering
        ``run`` if all radars have reported or are quiet, or enough have at the deadline; ``skip`` if all are quiet, too
        few have reported by the deadline, or the composite is done; otherwise ``wait``, with the deadline.
    """
    mine = [
        piece for piece in pieces if piece.radar in settings.radars and slot_of(piece.time, settings.period) == slot
    ]
    by_radar: dict[str, list[Piece]] = {}
    for piece in sorted(mine, key=lambda piece: (piece.time, piece.name), reverse=True):
        by_radar.setdefault(piece.radar, []).append(piece)
    used = tuple(piece for radar in settings.radars for piece in by_radar.get(radar, []))
    seen = {radar: len(by_radar.get(radar, [])) + (quiet or {}).get(radar, 0) for radar in settings.radars}
    missing = tuple(radar for radar, count in seen.items() if not count)
    few = tuple(radar for radar, count in seen.items() if 0 < count < settings.each)
    silent = tuple(radar for radar, count in seen.items() if count and radar not in by_radar)
    close = slot + settings.period + settings.deadline
    all_ = len(settings.radars)
    there = all_ - len(missing)
    but = f", quiet {', '.join(silent)}" if silent else ""
    data = {
        "slot": slot.isoformat(),
        "radars": [radar for radar in settings.radars if radar in by_radar],
        "missing": list(missing),
        "quiet": list(silent),
        "incomplete": list(few),
        "pieces": len(used),
        "deadline": close.isoformat(),
    }

    def result(action: Action, reason: str, check_at: datetime | None = None) -> Gathering:
        return Gathering(action, slot, used, missing, reason, check_at, data)

    if done:
        return result("skip", "the composite of this slot was already started")
    if not missing:
        if not few and not used:
            return result("skip", f"all {all_} radars are quiet")
        if not few:
            return result("run", f"all {all_} radars have reported{but}")
        if now >= close and used:
            return result("run", f"the deadline has passed; incomplete {', '.join(few)}{but}")
    if now < close:
        return result(
            "wait", f"{there - len(few)} of {all_} radars have reported, missing {', '.join((*missing, *few))}", close
        )
    if not used and silent:
        return result("skip", f"the deadline has passed; nothing to compose{but}")
    if there < settings.minimum:
        return result("skip", f"the deadline has passed with {there} of {all_} radars, {settings.minimum} required")
    return result("run", f"the deadline has passed; missing {', '.join(missing)}{but}")


def open_slots(
    pieces: Iterable[Piece], settings: GatherSettings, done: Iterable[datetime], horizon: datetime
) -> list[datetime]:
    """Return the slots, oldest first, that have pieces, are not done and are not older than ``horizon``."""
    closed = set(done)
    slots = {slot_of(piece.time, settings.period) for piece in pieces if piece.radar in settings.radars}
    return sorted(slot for slot in slots if slot not in closed and slot >= horizon)
