"""Bad files: recorded with their reason in the store, then moved into quarantine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import update

from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, shown
from dynamo.feeds.quarantine import move_aside
from dynamo.runs.ledger import decide
from dynamo.runs.service import RunService
from dynamo.store.models import Arrival
from dynamo.watch.arrivals import record
from dynamo.watch.candidates import Candidates

_log = logging.getLogger("dynamo.intake")


class BadFiles:
    """Puts bad files aside.

    Parameters
    ----------
    service
        Has the store, and tells those who follow.
    candidates
        Remembers what was decided on.
    patiently
        Calls what needs the store, again and again while that is away.
    """

    def __init__(
        self, service: RunService, candidates: Candidates, patiently: Callable[[Callable[[], Any], Candidate], Any]
    ) -> None:
        self._service = service
        self._candidates = candidates
        self._patiently = patiently

    def refuse(self, candidate: Candidate, seen: FileLook, reason: str, folder: Path | None) -> None:
        """Record a bad file with its reason, then move it into a folder; None leaves it where it is."""

        def stored() -> Arrival | None:
            with self._service.store.transaction() as session:
                arrival = record(session, candidate, seen, state="quarantined", reason=reason)
                if arrival is not None:
                    decide(session, shown(candidate.path), "quarantine", reason, feed=candidate.feed)
                return arrival

        arrival = self._patiently(stored, candidate)
        if arrival is not None:
            self._move_aside(candidate, arrival, folder)

    def _move_aside(self, candidate: Candidate, arrival: Arrival, folder: Path | None) -> None:
        try:
            moved = None if folder is None else move_aside(candidate.path, folder, arrival.reason)
        except OSError as error:
            # A quarantine that is full or away must not hold up the good files; the next start tries again.
            _log.warning("cannot be moved", extra={"path": shown(candidate.path), "reason": str(error)})
            moved = None
        if moved is None:
            self._candidates.remember(candidate, arrival.size, arrival.mtime_ns)
        else:
            self._candidates.forget(candidate)

            def note() -> None:
                with self._service.store.transaction() as session:
                    session.execute(update(Arrival).where(Arrival.id == arrival.id).values(moved_to=str(moved)))

            self._patiently(note, candidate)
        _log.warning(
            "quarantined",
            extra={"path": shown(candidate.path), "reason": arrival.reason, "moved_to": str(moved or "")},
        )
        self._service.events.emit(
            "quarantined",
            shown(candidate.path),
            feed=candidate.feed,
            reason=arrival.reason,
            moved_to=None if moved is None else str(moved),
        )
