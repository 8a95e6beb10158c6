"""Runs whose products a check kept back: which they are, and what somebody decides about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.errors import NotFoundError, UsageError
from dynamo.store.checks import CheckReview
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now


def reviews_in(
    session: Session,
    state: str,
    limit: int = 1000,
    *,
    feed: str | None = None,
    since: datetime | None = None,
    trigger: str | None = None,
) -> Sequence[CheckReview]:
    """Return the reviews in a state (waiting, released, dropped), the newest first.

    Parameters
    ----------
    feed, since, trigger
        Only of runs that a file of this feed started; only those opened at this time or later; only of this trigger's.
    """
    statement = select(CheckReview).where(CheckReview.state == state).order_by(CheckReview.opened_at.desc())
    if since is not None:
        statement = statement.where(CheckReview.opened_at >= since)
    if feed is not None:
        of_feed = select(Run.id).join(Arrival, Arrival.id == Run.arrival_id).where(Arrival.feed == feed)
        statement = statement.where(of_feed.where(Run.id == CheckReview.run_id).exists())
    if trigger is not None:
        statement = statement.where(select(Run.id).where(Run.id == CheckReview.run_id, Run.trigger == trigger).exists())
    return session.scalars(statement.limit(limit)).all()


def decide_review(session: Session, run_id: str, *, release: bool, note: str) -> CheckReview:
    """Store that a run may be published, or never; see `dynamo.watch.reviews`.

    Raises
    ------
    NotFoundError, UsageError
        If the run is not in review, or was decided on before.
    """
    # Of two people who decide at the same time, the second one sees what the first one did.
    review = session.get(CheckReview, run_id, with_for_update=True, populate_existing=True)
    if review is None:
        raise NotFoundError(f"run {run_id:.64} waits for no review", hint="dynamo quarantine list")
    if review.state != "waiting":
        raise UsageError(f"it was {review.state} before", where=run_id, expected="a run that waits for review")
    review.state = "released" if release else "dropped"
    review.decided_at, review.note = utc_now(), note
    return review
