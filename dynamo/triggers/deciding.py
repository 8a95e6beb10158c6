"""What a rule decides about an arrival, or on its own: ask its trigger and assemble its run.

All of it happens in the caller's transaction, in which the caller also stores the decision and creates the run. A
trigger with a bug decides nothing, and does not hold up the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

import orjson
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from dynamo.contract import Value
from dynamo.errors import InputError, RetryableError
from dynamo.inspection.facts import InputFacts
from dynamo.runs.ledger import RunRequest
from dynamo.store.models import Arrival
from dynamo.times import ahead_of
from dynamo.triggers.base import Due
from dynamo.triggers.book import Book
from dynamo.triggers.rules import Rule
from dynamo.triggers.verdict import Verdict, unusable

#: Errors that are not the trigger's fault: the store is retried.
STORE_TROUBLE = (SQLAlchemyError, RetryableError)


@dataclass(frozen=True)
class Wish:
    """A decision to store: its subject, the run to create (None for none), the reason, and the numbers.

    ``defect`` is the exception the trigger failed with.
    """

    request: RunRequest | None
    subject: str
    action: str
    reason: str
    data: dict[str, Any]
    defect: Exception | None = None


def on_arrival(session: Session, rule: Rule, arrival: Arrival, facts: InputFacts, now: datetime) -> Wish | None:
    """Return what a rule decides about an arrival; None if the arrival alone decides nothing."""
    book = Book(session, rule.kind, rule.name, now)
    defect: Exception | None = None
    try:
        if not rule.trigger.concerns(arrival.feed, PurePath(arrival.path)):
            return None
        verdict = rule.trigger.judge(facts, book)
        if verdict is None:
            return None
        _check(verdict)
        if ahead := ahead_of(facts.issue_time, now):
            verdict = unusable(f"{ahead}: not judged")
            verdict.data.update(radar=facts.radar, flags=list(facts.flags))
    except STORE_TROUBLE:
        raise
    except InputError as error:
        verdict = unusable(f"cannot be judged: {error}")
    except Exception as error:  # one rule must not hold up the others, nor the arrival
        verdict, defect = unusable(f"cannot be judged: {rule.who}: {type(error).__name__}: {error}"), error
    else:
        # A file from a clock that is ahead must not touch the trigger's state: it would make every later one old.
        if not ahead:
            book.write()
    data = {"feed": arrival.feed, "path": arrival.path}
    return _wish(rule, arrival.path, verdict, [arrival], now, data=data, defect=defect)


def on_time(session: Session, rule: Rule, now: datetime) -> list[Wish]:
    """Return what a rule decides on its own; raise whatever its trigger fails with."""
    book = Book(session, rule.kind, rule.name, now)
    found = list(rule.trigger.due(book))
    for due in found:
        _check(due.verdict)
    wishes = [_wish(rule, due.subject, _in_time(due, now), due.arrivals, now, offers=due.offers) for due in found]
    book.write()
    return wishes


def _wish(
    rule: Rule,
    subject: str,
    verdict: Verdict,
    arrivals: Sequence[Arrival],
    now: datetime,
    *,
    offers: Mapping[str, Value] | None = None,
    data: Mapping[str, Any] | None = None,
    defect: Exception | None = None,
) -> Wish:
    request, action, reason = None, verdict.word, verdict.reason
    data = {"trigger": rule.name, **(data or {}), **verdict.data}
    if verdict.start:
        try:
            request = rule.request(arrivals, now, offers)
        except InputError as error:
            action, reason = "refuse", f"{reason}; cannot be requested: {error}"
            data["unusable"] = True
    if request is not None and (left_out := rule.left_out(request)):
        reason = f"{reason}; missing: {', '.join(left_out)}"
        data["left_out"] = left_out
    return Wish(request, subject, action, reason, data, defect)


def _in_time(due: Due, now: datetime) -> Verdict:
    """Return the verdict of a due decision; a refusal if one of its files is from a clock that is ahead."""
    for arrival in due.arrivals:
        if arrival.valid_at is not None and (ahead := ahead_of(arrival.valid_at, now)):
            return unusable(f"{PurePath(arrival.path).name}: {ahead}")
    return due.verdict


def _check(verdict: object) -> None:
    """Raise `TypeError` for anything that cannot be stored as a verdict."""
    if not isinstance(verdict, Verdict):
        raise TypeError(f"the verdict is a {type(verdict).__name__}, not a dynamo.triggers.verdict.Verdict")
    orjson.dumps(verdict.data)
