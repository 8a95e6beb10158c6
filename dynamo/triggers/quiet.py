"""Find the quiet radars of a network: their sweeps were judged and found not worth a product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from dynamo.store.models import Arrival
from dynamo.triggers.book import Book
from dynamo.triggers.pieces import Pieces
from dynamo.triggers.slots import Piece

#: Runs in these states will make no product.
_FRUITLESS = frozenset({"failed", "cancelled", "skipped"})


def quiet_sweeps(
    book: Book, sweeps: Pieces, products: Mapping[datetime, Sequence[Piece]], maker: str | None
) -> dict[datetime, list[Arrival]]:
    """Return the sweeps of each slot that were judged not worth a run.

    A radar with a run still in progress in the slot is not quiet; nor is a sweep that could not be judged, or whose run
    already existed. A slot without products but with runs that will make some has no quiet radars either: the first
    product must find it open.

    Parameters
    ----------
    book
        Queries runs and decisions.
    sweeps
        Sweeps of slots that are not done.
    products
        The pieces that have arrived, by slot.
    maker
        The workflow that makes the products of sweeps; None for any.
    """
    if not sweeps:
        return {}
    runs = book.run_states((one.id for one in sweeps.values()), maker)
    unknown = {
        decision.subject
        for decision in book.decisions(one.path for one in sweeps.values())
        if decision.action == "have" or decision.data.get("unusable")
    }
    quiet: dict[datetime, list[Arrival]] = {}
    for slot, pieces in sweeps.by_slot().items():
        there = products.get(slot, [])
        if not there and any(runs.get(sweeps[piece].id, "failed") not in _FRUITLESS for piece in pieces):
            continue
        made = Counter(piece.radar for piece in there)
        begun = Counter(piece.radar for piece in pieces if sweeps[piece].id in runs)
        found = [
            sweeps[piece]
            for piece in pieces
            if sweeps[piece].id not in runs
            and sweeps[piece].path not in unknown
            and begun[piece.radar] <= made[piece.radar]
        ]
        if found:
            quiet[slot] = found
    return quiet
