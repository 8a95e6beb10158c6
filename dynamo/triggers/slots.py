"""The slots of a network: when the radars of a minute are together, or the deadline has passed; pure.

A network's composite of a minute runs once: as soon as every radar of the network has its products of that minute (one,
or as many as it makes sweeps), or at the deadline with those that are there. What comes later starts nothing. A radar
whose sweeps were found not worth the work is quiet: it is there, with nothing to show.
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
    """How the products of a network are put together.

    Parameters
    ----------
    radars
        The network.
    period
        Length of a slot; the valid times of the products decide to which they belong.
    deadline
        After the end of the slot: what is not there by then is missing.
    minimum
        Fewer radars than this are not worth a composite.
    each
        Products of a radar in a slot, as the sweeps that it makes: with fewer it is waited for. At the deadline a
        radar with fewer is used as it is, and told as incomplete.

    Raises
    ------
    InputError
        If there is no radar, one is named twice, or a number makes no sense.
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
    """One product of one radar that could go into a composite: its valid time, and what the caller knows it by."""

    radar: str
    time: datetime
    name: str


@dataclass(frozen=True)
class Gathering:
    """What to do about a slot, and why.

    ``pieces`` are the products to use, the newest of each radar first, in the order of the network; ``check_at`` is
    when to look again where nothing else happens (None: never).
    """

    action: Action
    slot: datetime
    pieces: tuple[Piece, ...]
    missing: tuple[str, ...]
    reason: str
    check_at: datetime | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


def slot_of(time: datetime, period: timedelta) -> datetime:
    """Return the start of the slot to which a time belongs; slots are counted from midnight UTC."""
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
        The products at hand, of any slot and radar; those of others are left alone.
    slot
        The start of the slot, see `slot_of`.
    now
        The caller's clock.
    settings
        The network, its period and deadline.
    done
        Whether the composite of this slot has been started already: then it is never started again.
    quiet
        How many sweeps of this slot, by radar, were found not worth a product.

    Returns
    -------
    Gathering
        ``run`` where all radars are there or quiet, or the deadline has passed and enough are; ``skip`` where all are
        quiet, it has passed and too few are there, or the composite is done; else ``wait``, with the time of the
        deadline.
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
        return result("skip", "the composite of this slot was started before")
    if not missing:
        if not few and not used:
            return result("skip", f"all {all_} radars are quiet")
        if not few:
            return result("run", f"all {all_} radars are there{but}")
        if now >= close and used:
            return result("run", f"the deadline has passed; incomplete {', '.join(few)}{but}")
    if now < close:
        return result(
            "wait", f"{there - len(few)} of {all_} radars are there, missing {', '.join((*missing, *few))}", close
        )
    if not used and silent:
        return result("skip", f"the deadline has passed; nothing to compose{but}")
    if there < settings.minimum:
        return result("skip", f"the deadline has passed with {there} of {all_} radars, {settings.minimum} wanted")
    return result("run", f"the deadline has passed; missing {', '.join(missing)}{but}")


def open_slots(
    pieces: Iterable[Piece], settings: GatherSettings, done: Iterable[datetime], horizon: datetime
) -> list[datetime]:
    """Return the slots, oldest first, that have pieces, are not done and are not older than ``horizon``."""
    closed = set(done)
    slots = {slot_of(piece.time, settings.period) for piece in pieces if piece.radar in settings.radars}
    return sorted(slot for slot in slots if slot not in closed and slot >= horizon)
