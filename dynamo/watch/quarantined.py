"""What waits for a person, and of it the files that intake refused, to look at, hand back, or drop.

Each order is stored first and carried out then, here or by the daemon's next look, so that a kill in between loses
nothing: a ``released`` file is moved back and examined once more, of a ``dropped`` one only the row is left.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from dynamo.errors import NotFoundError, UsageError
from dynamo.feeds.completeness import look
from dynamo.feeds.quarantine import move_back
from dynamo.runs.ledger import decide
from dynamo.store.engine import Store
from dynamo.store.models import Arrival
from dynamo.watch.reviews import find_review, held_back, waiting_of_review
from dynamo.watch.waiting import Waiting

QUARANTINED, RELEASED, DROPPED = "quarantined", "released", "dropped"
#: States of an arrival that intake may examine again.
AGAIN = frozenset({QUARANTINED, RELEASED})


#: Returns the newest of one kind in a state; of a feed, since a time, and of a trigger if they are given. More kinds
#: are more functions in `KINDS`.
Lister = Callable[[Session, str, int, str | None, datetime | None, str | None], Sequence[Waiting]]


def refused_files(
    session: Session,
    state: str,
    limit: int,
    feed: str | None = None,
    since: datetime | None = None,
    trigger: str | None = None,
) -> Sequence[Waiting]:
    """Return the files in a state, the newest first; none of a trigger: they have not come to any."""
    if trigger is not None:
        return ()
    query = select(Arrival).where(Arrival.state == state).order_by(Arrival.id.desc()).limit(limit)
    if feed is not None:
        query = query.where(Arrival.feed == feed)
    if since is not None:
        query = query.where(Arrival.recorded_at >= since)
    return [waiting_of(arrival) for arrival in session.scalars(query)]


KINDS: tuple[Lister, ...] = (refused_files, held_back)


def waiting(
    session: Session,
    state: str,
    limit: int,
    feed: str | None = None,
    since: datetime | None = None,
    trigger: str | None = None,
) -> Sequence[Waiting]:
    """Return what is in a state, of every kind, the newest first."""
    found = [item for kind in KINDS for item in kind(session, state, limit, feed, since, trigger)]
    return sorted(found, key=lambda item: item.since, reverse=True)[:limit]


def find_waiting(session: Session, name: str) -> Waiting:
    """Return the refused file with this number, or the run in review whose id starts with it.

    Raises
    ------
    NotFoundError
        If there is neither.
    """
    try:
        return waiting_of(find_refused(session, name))
    except NotFoundError as error:
        try:
            return waiting_of_review(session, find_review(session, name))
        except NotFoundError:
            raise error from None


def find_refused(session: Session, name: str) -> Arrival:
    """Return the refused file with this number.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    # With a leading zero it is a run.
    numbered = name.isdecimal() and not name.startswith("0") and len(name) < 19
    arrival = session.get(Arrival, int(name)) if numbered else None
    if arrival is None or arrival.state not in (QUARANTINED, RELEASED, DROPPED):
        raise NotFoundError(f"nothing in quarantine with the number or run {name!r:.40}", hint="dynamo quarantine list")
    return arrival


def release(store: Store, name: str, reason: str) -> Waiting:
    """Hand a refused file back to intake, which examines it once more; its daemon need not be running.

    Raises
    ------
    NotFoundError, UsageError
        If there is no such file any more, it was released or dropped before, or another has its name now.
    OSError
        If it cannot be moved back now; the daemon tries again.
    """
    with store.transaction() as session:
        arrival = find_refused(session, name)
        _require(arrival, QUARANTINED)
        at = _place(arrival)
        if at is None:
            raise NotFoundError("the file is gone", where=arrival.moved_to or arrival.path)
        if at != Path(arrival.path) and look(Path(arrival.path)) is not None:
            raise UsageError("a file with its name is there now", where=arrival.path, hint="move that one away first")
        arrival.state = RELEASED
        decide(session, arrival.path, "release", reason, feed=arrival.feed, refused=arrival.reason)
    finish(store, arrival)
    return _stored(store, arrival)


def drop(store: Store, name: str, reason: str, *, movable: bool) -> Waiting:
    """Delete a refused file for good, and keep its row with the reason.

    Parameters
    ----------
    movable
        Whether its feed's files may be touched where they are; published products may not, and stay.

    Raises
    ------
    NotFoundError, UsageError
        If there is no such file, or it was released or dropped before.
    """
    with store.transaction() as session:
        arrival = find_refused(session, name)
        _require(arrival, QUARANTINED)
        if arrival.moved_to is None and movable and _place(arrival) is not None:
            # It could not be moved then; now it is deleted where it is.
            arrival.moved_to = arrival.path
        arrival.state = DROPPED
        arrival.reason = f"{arrival.reason}; dropped: {reason}"
        decide(session, arrival.path, "drop", reason, feed=arrival.feed)
    finish(store, arrival)
    return _stored(store, arrival)


def unfinished(session: Session, feeds: Sequence[str]) -> Sequence[Arrival]:
    """Return the files of these feeds whose release or drop is not carried out to its end."""
    ordered = or_(Arrival.state == RELEASED, Arrival.moved_to.is_not(None))
    query = select(Arrival).where(Arrival.feed.in_(feeds), Arrival.state.in_((RELEASED, DROPPED)), ordered)
    return session.scalars(query).all()


def finish(store: Store, arrival: Arrival) -> None:
    """Carry out what was ordered of a file; may be repeated, and by several processes."""
    state = arrival.state
    values: dict[str, str | None] = {"moved_to": None}
    if arrival.moved_to is not None:
        at = Path(arrival.moved_to)
        if arrival.state == DROPPED:
            _delete(at)
        elif at != Path(arrival.path):
            try:
                move_back(at, Path(arrival.path))
            except FileExistsError as error:
                values = {"state": QUARANTINED, "reason": f"{arrival.reason}; not released: {error.strerror}"}
    if state == RELEASED and "state" not in values and not _is_there(arrival):
        values |= {"state": DROPPED, "reason": f"{arrival.reason}; dropped: the file is gone, or another now"}
    if arrival.moved_to is None and "state" not in values:
        return
    with store.transaction() as session:
        # Intake may have refused it again by now, and moved it aside again.
        same = (Arrival.id == arrival.id, Arrival.state == state, Arrival.moved_to == arrival.moved_to)
        session.execute(update(Arrival).where(*same).values(**values))


def _require(arrival: Arrival, state: str) -> None:
    if arrival.state != state:
        raise UsageError(f"it was {arrival.state} before", where=arrival.path, expected="a file in quarantine")


def _place(arrival: Arrival) -> Path | None:
    """Return where a refused file is; in its feed only if it is still the same."""
    if arrival.moved_to is not None:
        moved = Path(arrival.moved_to)
        return moved if look(moved) is not None else None
    path = Path(arrival.path)
    return path if _is_there(arrival) else None


def _is_there(arrival: Arrival) -> bool:
    """Tell whether the refused file is where it came from, and the same."""
    seen = look(Path(arrival.path))
    return seen is not None and (seen.size, seen.mtime_ns) == (arrival.size, arrival.mtime_ns)


def _delete(path: Path) -> None:
    path.with_name(f"{path.name}.reason").unlink(missing_ok=True)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _stored(store: Store, arrival: Arrival) -> Waiting:
    with store.reading() as session:
        return waiting_of(session.get_one(Arrival, arrival.id))


def waiting_of(arrival: Arrival) -> Waiting:
    """Return a refused file as what waits for a person."""
    return Waiting(
        kind="file",
        id=str(arrival.id),
        state=arrival.state,
        source=arrival.feed,
        path=arrival.path,
        at=_place(arrival),
        bytes=arrival.size,
        reason=arrival.reason,
        since=arrival.recorded_at,
    )
