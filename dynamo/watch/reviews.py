"""Runs whose products a check kept back, among what waits for a person: release them once, or drop them.

An order and what it means for the run are one transaction, so a kill leaves both or neither; the run goes on as any
other that is retried.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.checks.review import decide_review, reviews_in
from dynamo.errors import NotFoundError
from dynamo.feeds.completeness import look
from dynamo.runs.folder import folder_of
from dynamo.runs.ledger import decide, find_run, reopen
from dynamo.runs.states import RETRIED
from dynamo.store.checks import CheckResult, CheckReview
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.watch.waiting import Waiting

#: States of a review by those that all that waits for a person has.
_STATES = {"quarantined": "waiting", "released": "released", "dropped": "dropped"}
_NAMES = {state: name for name, state in _STATES.items()}


def held_back(
    session: Session,
    state: str,
    limit: int,
    feed: str | None = None,
    since: datetime | None = None,
    trigger: str | None = None,
) -> Sequence[Waiting]:
    """Return the runs in a state, the newest first."""
    found = reviews_in(session, _STATES[state], limit, feed=feed, since=since, trigger=trigger)
    return [waiting_of_review(session, review) for review in found]


def find_review(session: Session, name: str) -> CheckReview:
    """Return the review of the run whose id or key starts with ``name``.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    run = find_run(session, name)
    review = session.get(CheckReview, run.id)
    if review is None:
        raise NotFoundError(f"run {run.id} waits for no review", hint="dynamo quarantine list")
    return review


def release_run(store: Store, name: str, reason: str) -> Run:
    """Have a run published whose products a check kept back; return it as it is then.

    Its jobs do not run again if their results are still there.

    Raises
    ------
    NotFoundError, UsageError
        If no such run is in review, or it was released or dropped before.
    """
    return _decide(store, name, reason, release=True)


def drop_run(store: Store, name: str, reason: str) -> Run:
    """Leave a run unpublished for good; otherwise as `release_run`."""
    return _decide(store, name, reason, release=False)


def waiting_of_review(session: Session, review: CheckReview) -> Waiting:
    """Return a run in review as what waits for a person; its file is the one that a check found to be bad."""
    run = session.get_one(Run, review.run_id)
    path = _bad_file(session, run, review.check)
    seen = None if path is None else look(path)
    reason = review.reason
    if review.state != "waiting" and review.note:
        reason += f"; {review.state}: {review.note}"
    return Waiting(
        kind="run",
        id=run.id,
        state=_NAMES[review.state],
        source=run.workflow,
        path="" if path is None else str(path),
        at=None if seen is None else path,
        bytes=0 if seen is None else seen.size,
        reason=reason,
        since=review.opened_at,
    )


def _decide(store: Store, name: str, reason: str, *, release: bool) -> Run:
    with store.transaction() as session:
        run_id = find_review(session, name).run_id
        decide_review(session, run_id, release=release, note=reason)
        run = session.get_one(Run, run_id)
        # Somebody may have retried it without a release: then it goes on where it is, and is let through.
        if release and run.state in RETRIED:
            reopen(session, run_id)
        decide(session, run_id, "release" if release else "drop", reason)
    with store.reading() as session:
        return session.get_one(Run, run_id)


def _bad_file(session: Session, run: Run, check: str) -> Path | None:
    """Return the file in which a check found what blocks a run: an input where it is, or what a job made."""
    query = select(CheckResult.file).where(CheckResult.run_id == run.id, CheckResult.check == check)
    name = session.scalar(query.order_by(CheckResult.flag.desc(), CheckResult.id).limit(1))
    if not name:
        return None
    inputs = (Path(str(one.get("path", ""))) for one in run.inputs)
    return next((path for path in inputs if path.name == name), folder_of(run).work / Path(name).name)
