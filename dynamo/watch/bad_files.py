"""Bad files: recorded in the store with the reason, then moved to quarantine."""

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
    """Moves bad files aside.

    Parameters
    ----------
    service
        Holds the store, and notifies followers.
    candidates
        Remembers which files were decided on.
    patiently
        Calls a function that needs the store; retries while the store is down.
    """

    def __init__(
        self, service: RunService, candidates: Candidates, patiently: Callable[[Callable[[], Any], Candidate], Any]
    ) -> None:
        self._service = service
        self._candidates = candidates
        self._patiently = patiently

    def refuse(self, candidate: Candidate, seen: FileLook, reason: str, folder: Path | None) -> None:
        """Record a bad file and the reason, then move it to a folder; None leaves it in place."""

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
            # A full or missing quarantine must not hold up the good files; the next start retries.
            _log.warning("cannot move to quarantine", extra={"path": shown(candidate.path), "reason": str(error)})
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
