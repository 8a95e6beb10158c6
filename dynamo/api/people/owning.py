"""Runs of one's own: what researchers may order, on their budget."""

from __future__ import annotations

from dynamo.api.access.budgets import allowance_of
from dynamo.api.access.roles import Identity
from dynamo.api.access.users import find_user
from dynamo.api.people.session_routes import budget_shown
from dynamo.api.problems import Refusal
from dynamo.api.service import Service
from dynamo.runs.ledger import RunRequest, find_run, newest_of
from dynamo.runs.service import has_products
from dynamo.runs.states import RETRIED
from dynamo.store.models import Run
from dynamo.times import utc_now


def refuse_others(service: Service, caller: Identity, name: str) -> None:
    """Refuse an order about a run that somebody else ordered, unless it is an operator's.

    Raises
    ------
    Refusal
        403 if so.
    NotFoundError
        If there is no such run.
    """
    with service.store.reading() as session:
        run = find_run(session, name)
    if not caller.owns(run.owner):
        raise _not_yours(run)


def refuse_taking_up(service: Service, caller: Identity, request: RunRequest) -> None:
    """Refuse to run again what somebody else ordered and what ended without products, unless for an operator.

    Raises
    ------
    Refusal
        403 if so.
    """
    with service.store.reading() as session:
        _, run = newest_of(session, request)
    if run is None or caller.owns(run.owner):
        return
    if run.state in RETRIED or (run.state == "succeeded" and not has_products(run)):
        raise _not_yours(run)


def refuse_overspent(service: Service, caller: Identity) -> None:
    """Refuse to order a run on a budget that is used up.

    Raises
    ------
    Refusal
        403 if so.
    """
    if not caller.user:
        return
    period = service.config.serve.budget_period
    with service.store.reading() as session:
        limit = find_user(session, caller.user).budget
        if limit is None:
            return
        budget = allowance_of(session, caller.user, limit, period, utc_now())
    if budget.used_up:
        ahead = f", {budget.reserved:.2f} more for runs under way" if budget.reserved else ""
        amounts = f"{budget.spent:.2f} of {limit:.2f} {budget.currency}".rstrip()
        raise Refusal(
            403,
            f"your budget of this {period} is used up: {amounts}{ahead}",
            expected=f"a run after {budget.until:%Y-%m-%d %H:%M} UTC",
            hint="ask an administrator for more",
            more={"budget": budget_shown(budget).model_dump()},
        )


def _not_yours(run: Run) -> Refusal:
    who = f"{run.owner} ordered it" if run.owner else "nobody ordered it: a trigger or backfill made it"
    return Refusal(403, f"not your run: {who}", where=run.id, expected="one of your own, or the role operator")
