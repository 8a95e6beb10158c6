"""Runs whose products a check kept back: which they are, and what somebody decides about them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.errors import NotFoundError, UsageError
from dynamo.store.checks import CheckReview
from dynamo.times import utc_now


def waiting(session: Session, limit: int = 1000) -> Sequence[CheckReview]:
    """Return the runs that wait for review, oldest first."""
    statement = select(CheckReview).where(CheckReview.state == "waiting").order_by(CheckReview.opened_at).limit(limit)
    return session.scalars(statement).all()


def decide_review(session: Session, run_id: str, *, release: bool, note: str) -> CheckReview:
    """Store that a run may be published, or never; a released run is published once it is retried.

    Raises
    ------
    NotFoundError, UsageError
        If the run is not in review, or was decided on before.
    """
    review = session.get(CheckReview, run_id)
    if review is None:
        raise NotFoundError(f"no review of run {run_id:.64}", hint="dynamo checks results")
    if review.state != "waiting":
        raise UsageError(f"the run was {review.state}", where=run_id, expected="a run that waits for review")
    review.state = "released" if release else "dropped"
    review.decided_at, review.note = utc_now(), note
    return review
