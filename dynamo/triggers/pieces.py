"""The pieces of a network's products that have arrived, and which are unusable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import PurePath

from dynamo.store.models import Arrival
from dynamo.times import ahead_of
from dynamo.triggers.slots import Piece, slot_of


class Pieces(dict[Piece, Arrival]):
    """Arrivals as pieces of slots of a given length."""

    def __init__(self, period: timedelta, pieces: Iterable[tuple[Piece, Arrival]] = ()) -> None:
        super().__init__(pieces)
        self.period = period

    def by_slot(self) -> dict[datetime, list[Piece]]:
        """Return the pieces of each slot, in order."""
        found: dict[datetime, list[Piece]] = defaultdict(list)
        for piece in self:
            found[slot_of(piece.time, self.period)].append(piece)
        return found

    def where(self, fits: Callable[[Piece], bool]) -> Pieces:
        """Return the pieces that fit."""
        return Pieces(self.period, ((piece, arrival) for piece, arrival in self.items() if fits(piece)))


def pieces_of(
    arrivals: Iterable[Arrival], period: timedelta, takes: Callable[[str, PurePath], bool] = lambda *_: True
) -> Pieces:
    """Return the arrivals that come from a radar and are taken, by feed and path."""
    found = Pieces(period)
    for arrival in arrivals:
        radar = (arrival.facts or {}).get("radar")
        if radar and arrival.valid_at is not None and takes(arrival.feed, PurePath(arrival.path)):
            found[Piece(radar, arrival.valid_at, arrival.path)] = arrival
    return found


def unfit(piece: Piece, radars: tuple[str, ...], now: datetime) -> str:
    """Return why a piece does not belong in a network's products; empty if it does."""
    if piece.radar not in radars:
        return f"radar {piece.radar} is not in the network {', '.join(radars)}"
    ahead = ahead_of(piece.time, now)
    return f"{ahead}: left out" if ahead else ""
