"""The files of a folder as arrivals of the backfill's own feed: inspected in portions, in order of their names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from pathlib import Path, PurePath
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.backfill.order import Order
from dynamo.backfill.states import ACTIVE, LIST, MAKE
from dynamo.errors import InputError
from dynamo.feeds.completeness import look, name_problem
from dynamo.files import sha256_file
from dynamo.inspection.facts import facts_to_json
from dynamo.inspection.process import inspect
from dynamo.store.backfills import Backfill
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival
from dynamo.times import from_epoch, utc_now

#: Files to inspect before they are stored together.
_FILES = 100


def list_portion(store: Store, order: Order, backfill: str, turn: Callable[[], AbstractContextManager[None]]) -> None:
    """Take the next files of the folder up as arrivals; after the last one, runs are made.

    Each file is inspected in a ``turn``: live files are inspected by the same process.
    """
    with store.reading() as session:
        row = session.get_one(Backfill, backfill)
        before = row.listed
        if row.state != ACTIVE or row.phase != LIST or order.folder is None:
            return
    files = list(islice(files_after(order.folder, before), _FILES))
    rows = []
    for path in files:
        with turn():
            found = arrival_values(path, order, row.feed)
        rows += [] if found is None else [found]
    with store.transaction() as session:
        row = session.get_one(Backfill, backfill, with_for_update=True)
        if row.state != ACTIVE or row.phase != LIST or row.listed != before:
            return
        for values in rows:
            if not _known(session, row.feed, values["sha256"]):
                insert_new(session, Arrival, **values)
        row.updated_at = utc_now()
        if files:
            row.listed = files[-1].relative_to(order.folder).as_posix()
        if len(files) < _FILES:
            row.phase = MAKE


def files_after(folder: Path, after: str = "") -> Iterator[Path]:
    """Yield the files of a folder and of those in it, by name, after a relative path; hidden ones are left out."""
    first, _, rest = after.partition("/")
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.name.startswith(".") or entry.name < first:
            continue
        begun = entry.name == first
        # A link to a folder could lead back here.
        if entry.is_dir(follow_symlinks=False):
            yield from files_after(folder / entry.name, rest if begun else "")
        elif not begun and entry.is_file():
            yield folder / entry.name


def concerns(order: Order, path: Path) -> bool:
    """Return whether the trigger would use a file if it arrived."""
    trigger = order.rule.trigger
    return not name_problem(path) and trigger.uses(trigger.feed, PurePath(path))


def arrival_values(path: Path, order: Order, feed: str) -> dict[str, Any] | None:
    """Return the arrival that a file makes; None if it is of no concern, unreadable, or of other times or radars.

    Raises
    ------
    RetryableError, OSError
        If it cannot be read now.
    """
    seen = look(path) if concerns(order, path) else None
    if seen is None or seen.problem:
        return None
    try:
        facts = inspect(path, sorted(order.rule.levels))
    except InputError:
        return None
    wanted = not order.radars or facts.radar.upper() in order.radars
    if not wanted or not order.since <= facts.issue_time < order.until:
        return None
    now = utc_now()
    return {
        "feed": feed,
        "path": str(path),
        "size": seen.size,
        "mtime_ns": seen.mtime_ns,
        "sha256": sha256_file(path),
        "state": "accepted",
        "reason": "",
        "radar": facts.radar,
        "valid_at": facts.issue_time,
        "facts": facts_to_json(facts),
        "closed_at": from_epoch(seen.changed_s),
        "detected_at": now,
        "recorded_at": now,
    }


def _known(session: Session, feed: str, sha256: str) -> bool:
    query = select(Arrival.id).where(Arrival.feed == feed, Arrival.sha256 == sha256).limit(1)
    return session.scalar(query) is not None
