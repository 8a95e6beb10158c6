"""Published products as the store lists them, newest publication first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from dynamo.runs.record import product_json
from dynamo.store.models import Arrival, Product, Run
from dynamo.times import to_iso


@dataclass(frozen=True)
class ProductFilter:
    """Which products: all by default.

    Attributes
    ----------
    since
        Published at this time or later.
    workflow, tier, radar
        Of this workflow; in this tier; of this radar.
    feed, trigger
        Of a run that a file of this feed started; that this trigger started.
    """

    since: datetime | None = None
    workflow: str | None = None
    tier: str | None = None
    radar: str | None = None
    feed: str | None = None
    trigger: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions on runs that have products."""
        found: list[ColumnElement[bool]] = [Run.published_at.is_not(None), Run.product_dir.is_not(None)]
        if self.since is not None:
            found.append(Run.published_at >= self.since)
        if self.workflow is not None:
            found.append(Run.workflow == self.workflow)
        if self.tier is not None:
            found.append(Run.tier == self.tier)
        if self.radar is not None:
            found.append(func.upper(Run.radar) == self.radar.upper())
        if self.feed is not None:
            found.append(select(Arrival.id).where(Arrival.id == Run.arrival_id, Arrival.feed == self.feed).exists())
        if self.trigger is not None:
            found.append(Run.trigger == self.trigger)
        return found


def list_products(session: Session, which: ProductFilter, limit: int) -> Sequence[tuple[Product, Run]]:
    """Return at most ``limit`` products and their runs, those of the newest publication first."""
    query = (
        select(Product, Run)
        .join(Run, Run.id == Product.run_id)
        .where(*which.conditions())
        .order_by(Run.published_at.desc(), Run.id, Product.id)
        .limit(limit)
    )
    return [(product, run) for product, run in session.execute(query)]


def listed_json(product: Product, run: Run) -> dict[str, Any]:
    """Return one listed product as JSON data."""
    return {
        "workflow": run.workflow,
        "run": run.id,
        "radar": run.radar,
        **product_json(product),
        "tier": run.tier,
        "issue_at": None if run.valid_at is None else to_iso(run.valid_at),
        "published_at": None if run.published_at is None else to_iso(run.published_at),
    }
