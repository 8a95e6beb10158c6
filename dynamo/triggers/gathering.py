"""What a gathering trigger has together: the pieces in the store, the slots that are due, and those that are done."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.errors import InputError
from dynamo.runs.ledger import RunRequest
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Cursor, Run, RunDecision
from dynamo.times import parse_time, to_iso
from dynamo.triggers.clock import ahead_of
from dynamo.triggers.gather import Gathering, GatherTrigger, Piece, gather, open_slots, slot_of
from dynamo.triggers.rules import Rule

#: Pieces that arrived longer ago than this play no part any more, at least.
_HORIZON = timedelta(minutes=10)
#: So many finished slots are remembered beside those that still have pieces within the horizon.
_REMEMBERED = 500
#: Runs in these states make no product any more.
_FRUITLESS = frozenset({"failed", "cancelled", "skipped"})
#: So many values go into one question to the store.
_CHUNK = 500


@dataclass(frozen=True)
class Due:
    """A run to make, or what is given up (``request`` is None): what it is about, why, and the numbers."""

    request: RunRequest | None
    subject: str
    action: str
    reason: str
    data: dict[str, Any]


def due_gatherings(session: Session, rule: Rule, now: datetime) -> list[Due]:
    """Return what is due, and mark its slots as done, in the caller's transaction: so none is run twice.

    The deadline of a slot counts from its end, or from the arrival of its first piece where that came later: a replay
    of old data must not find every deadline passed. Pieces of radars outside the network, and those whose clock is
    ahead, are left out; each is told once.

    Parameters
    ----------
    session
        A transaction.
    rule
        A rule with a `GatherTrigger`.
    now
        The present time.
    """
    trigger = rule.trigger
    if not isinstance(trigger, GatherTrigger):
        return []
    settings = trigger.settings
    since = now - max(_HORIZON, 3 * (settings.period + settings.deadline))
    arrivals = _pieces(session, trigger, since)
    sweeps = _sweeps(session, trigger, since)
    if not arrivals and not sweeps:
        return []
    name = f"gather {rule.name}"
    insert_new(session, Cursor, name=name, data={"done": []}, updated_at=now)
    cursor = session.scalars(select(Cursor).where(Cursor.name == name).with_for_update()).one()
    done = [parse_time(text) for text in cursor.data.get("done", [])]
    told = set(cursor.data.get("left_out", []))
    here = {arrival.id for arrival in arrivals.values()}
    due: list[Due] = []
    for piece, arrival in list(arrivals.items()):
        reason = _unfit(piece, trigger, now)
        if reason or arrival.id in told:
            del arrivals[piece]
            if arrival.id not in told:
                told.add(arrival.id)
                data = {"trigger": rule.name, "feed": arrival.feed, "radar": piece.radar, "slot": _slot(piece, trigger)}
                due.append(Due(None, arrival.path, "skip", reason, data))
    for sweep in [sweep for sweep in sweeps if _unfit(sweep, trigger, now)]:
        del sweeps[sweep]
    known = {**sweeps, **arrivals}
    slots = {slot_of(piece.time, settings.period) for piece in known}
    by_slot = _by_slot(arrivals, trigger)
    closed = set(done)
    waiting = {sweep: one for sweep, one in sweeps.items() if slot_of(sweep.time, settings.period) not in closed}
    quiet = _quiet(session, trigger, waiting, by_slot)
    for slot in open_slots(known, settings, done, min(slots, default=now)):
        pieces = by_slot.get(slot, [])
        silent = quiet.get(slot, [])
        if not pieces and not silent:
            continue
        first = min(one.detected_at for one in ([arrivals[piece] for piece in pieces] or silent))
        late = max(first - (slot + settings.period), timedelta(0))
        count = Counter((one.facts or {})["radar"] for one in silent)
        decision = gather(pieces, slot, now - late, settings, quiet=count)
        if decision.action != "wait":
            done.append(slot)
            due.append(_due(rule, decision, [arrivals[piece] for piece in decision.pieces], now))
    if due:
        old = [slot for slot in done if slot not in slots][-_REMEMBERED:]
        cursor.data = {
            "done": [to_iso(slot) for slot in (*old, *(slot for slot in done if slot in slots))],
            "left_out": sorted(told & here),
        }
        cursor.updated_at = now
    return due


def _due(rule: Rule, decision: Gathering, arrivals: Sequence[Arrival], now: datetime) -> Due:
    subject = f"{rule.name} {to_iso(decision.slot)}"
    data = {"trigger": rule.name, **decision.data}
    if decision.action != "run":
        return Due(None, subject, "skip", decision.reason, data)
    try:
        request = _without_quiet(rule, decision).request(arrivals, now)
    except InputError as error:
        return Due(None, subject, "refuse", f"{decision.reason}; cannot be asked for: {error}", data)
    reason = decision.reason
    if left_out := rule.left_out(request):
        data["left_out"] = left_out
        reason = f"{reason}; not there: {', '.join(left_out)}"
    return Due(request, subject, "start", reason, data)


def _without_quiet(rule: Rule, decision: Gathering) -> Rule:
    """Return the rule so that its workflow does not tell radars as missing that are quiet."""
    trigger, quiet = rule.trigger, decision.data["quiet"]
    if not (quiet and isinstance(trigger, GatherTrigger)):
        return rule
    network = trigger.settings.radars
    if rule.parameters.get("expected") != ",".join(network):
        return rule
    expected = ",".join(radar for radar in network if radar not in quiet)
    return replace(rule, parameters={**rule.parameters, "expected": expected})


def _unfit(piece: Piece, trigger: GatherTrigger, now: datetime) -> str:
    if piece.radar not in trigger.settings.radars:
        return f"the radar {piece.radar} is not of the network {', '.join(trigger.settings.radars)}"
    ahead = ahead_of(piece.time, now)
    return f"{ahead}: left out" if ahead else ""


def _slot(piece: Piece, trigger: GatherTrigger) -> str:
    return to_iso(slot_of(piece.time, trigger.settings.period))


def _by_slot(pieces: Iterable[Piece], trigger: GatherTrigger) -> dict[datetime, list[Piece]]:
    found: dict[datetime, list[Piece]] = defaultdict(list)
    for piece in pieces:
        found[slot_of(piece.time, trigger.settings.period)].append(piece)
    return found


def _quiet(
    session: Session,
    trigger: GatherTrigger,
    sweeps: dict[Piece, Arrival],
    products: dict[datetime, list[Piece]],
) -> dict[datetime, list[Arrival]]:
    """Return the sweeps of each slot that were judged and found not worth a run.

    A radar of which a run is still at work in the slot is not quiet; nor is a sweep that nobody could judge, or whose
    run had been made before. A slot that has no product yet but runs that will make some has no quiet radars either:
    the first product must find it open.
    """
    if not sweeps:
        return {}
    runs: dict[int, str] = {}
    for ids in _chunks(one.id for one in sweeps.values()):
        query = select(Run.arrival_id, Run.state).where(Run.arrival_id.in_(ids)).order_by(Run.created_at)
        if trigger.maker is not None:
            query = query.where(Run.workflow == trigger.maker)
        runs.update((arrival_id, state) for arrival_id, state in session.execute(query) if arrival_id is not None)
    unknown: set[str] = set()
    for paths in _chunks(one.path for one in sweeps.values()):
        for decision in session.scalars(select(RunDecision).where(RunDecision.subject.in_(paths))):
            if decision.action == "have" or decision.data.get("unusable"):
                unknown.add(decision.subject)
    quiet: dict[datetime, list[Arrival]] = {}
    for slot, pieces in _by_slot(sweeps, trigger).items():
        if not products.get(slot) and any(runs.get(sweeps[piece].id, "failed") not in _FRUITLESS for piece in pieces):
            continue
        made = Counter(piece.radar for piece in products.get(slot, []))
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


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    remaining = iter(values)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def _pieces(session: Session, trigger: GatherTrigger, since: datetime) -> dict[Piece, Arrival]:
    found = _arrivals(session, trigger.feed, since)
    return {piece: one for piece, one in found.items() if trigger.concerns(one.feed, Path(one.path))}


def _sweeps(session: Session, trigger: GatherTrigger, since: datetime) -> dict[Piece, Arrival]:
    return {} if trigger.sweeps is None else _arrivals(session, trigger.sweeps, since)


def _arrivals(session: Session, feed: str, since: datetime) -> dict[Piece, Arrival]:
    found = session.scalars(
        select(Arrival)
        .where(Arrival.feed == feed, Arrival.state == "accepted", Arrival.detected_at >= since)
        .order_by(Arrival.id)
    )
    pieces: dict[Piece, Arrival] = {}
    for arrival in found:
        radar = (arrival.facts or {}).get("radar")
        if radar and arrival.valid_at is not None:
            pieces[Piece(radar, arrival.valid_at, arrival.path)] = arrival
    return pieces
