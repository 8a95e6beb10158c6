"""What the rules of `[retention]` say now: which products are to move to the warm tier, and which are to be removed.

Queries go through the index of tier, workflow and publication, a page at a time: nothing scans all runs.
"""

from __future__ import annotations

import fnmatch
import heapq
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from dynamo.archive.moving import DueStep, To
from dynamo.config.retention import REGARDLESS, RetentionRule, RetentionSection
from dynamo.runs.publish import links_to
from dynamo.store.engine import Store
from dynamo.store.models import Run
from dynamo.store.retention import ImportantDay, ProductMove

_PAGE = 500
_GIGABYTE = 1e9
#: Products younger than this stay even if there are too many: whoever was told of them may be reading them.
_FRESH = timedelta(hours=1)


@dataclass(frozen=True)
class _Share:
    """The runs of a workflow in a tier to which a rule applies."""

    tier: str
    workflow: str
    rule: RetentionRule
    matches: ColumnElement[bool]


def due(store: Store, section: RetentionSection, now: datetime) -> Iterator[DueStep]:
    """Return what is due by age, in each tier the oldest of each workflow first."""
    for tier in ("warm", "hot"):
        for share in _shares(store, section, tier):
            for to, days in _ages(share, section):
                before = now - timedelta(days=days)
                old = and_(Run.published_at < before, or_(Run.valid_at.is_(None), Run.valid_at < before))
                for run in _paged(store, share, old):
                    yield _step(run, share, to, f"older than {days:g} days")


def beyond(
    store: Store, section: RetentionSection, now: datetime, leaving: Mapping[str, int], kept: Container[str]
) -> Iterator[DueStep]:
    """Return what has to leave a tier that holds more than it should: of unimportant days, the oldest first.

    Parameters
    ----------
    leaving
        Bytes that will leave each tier anyway; those that come to the warm one are negative.
    kept
        Runs whose products stay all the same; what is returned in their place depends on it after each step.
    """
    for tier, limit_gb in (("hot", section.hot_gb), ("warm", section.warm_gb)):
        if limit_gb is None:
            continue
        over = held_bytes(store, tier) - leaving.get(tier, 0) - limit_gb * _GIGABYTE
        to: To = "warm" if tier == "hot" and section.warm is not None else "gone"
        shares = list(_shares(store, section, tier))
        for important in (False, True):
            pages = [
                (
                    (run.published_at, run.id, run, share)
                    for run in _paged(store, share, Run.published_at < now - _FRESH)
                )
                for share in shares
                if share.rule.important == important
            ]
            for _, _, run, share in heapq.merge(*pages):
                if over <= 0:
                    break
                yield _step(run, share, to, f"more than {limit_gb:g} GB in the {tier} tier")
                over -= 0 if run.id in kept else run.bytes


def held_bytes(store: Store, tier: str) -> int:
    """Return the size of all products in a tier."""
    with store.reading() as session:
        return int(session.scalar(select(func.coalesce(func.sum(Run.bytes), 0)).where(Run.tier == tier)) or 0)


def _ages(share: _Share, section: RetentionSection) -> Iterator[tuple[To, float]]:
    rule = share.rule
    if rule.gone_days is not None:
        yield "gone", rule.gone_days
    if share.tier == "hot" and rule.hot_days is not None and section.warm is not None:
        yield "warm", rule.hot_days


def _shares(store: Store, section: RetentionSection, tier: str) -> Iterator[_Share]:
    """Divide the runs of a tier among the rules: for each workflow and day the first that matches."""
    with store.reading() as session:
        names = list(_workflows(session, tier)) if section.rules else []
    on_important_day = (
        select(ImportantDay.day)
        .where(ImportantDay.begins_at <= Run.valid_at, ImportantDay.ends_at > Run.valid_at)
        .exists()
    )
    for name in names:
        taken = False
        for rule in section.rules:
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in rule.workflows) or (rule.important and taken):
                continue
            days = [on_important_day] if rule.important else [~on_important_day] if taken else []
            yield _Share(tier, name, rule, and_(Run.tier == tier, Run.workflow == name, *days))
            if not rule.important:
                break
            taken = True


def _workflows(session: Session, tier: str) -> Iterator[str]:
    """Return the workflows with products in a tier, by leaps through the index."""
    last = ""
    while (
        name := session.scalar(select(func.min(Run.workflow)).where(Run.tier == tier, Run.workflow > last))
    ) is not None:
        yield name
        last = name


def _paged(store: Store, share: _Share, condition: ColumnElement[bool]) -> Iterator[Run]:
    last: tuple[datetime, str] | None = None
    moving = select(ProductMove.run_id).where(ProductMove.run_id == Run.id).exists()
    while True:
        query = select(Run).where(share.matches, condition, ~moving).order_by(Run.published_at, Run.id).limit(_PAGE)
        if last is not None:
            at, run_id = last
            query = query.where(Run.published_at >= at, or_(Run.published_at > at, Run.id > run_id))
        with store.reading() as session:
            page = session.scalars(query).all()
        for run in page:
            # What latest points to stays, however old, until there is something newer.
            if run.product_dir is not None and not (share.tier == "hot" and links_to(Path(run.product_dir))):
                yield run
        if len(page) < _PAGE:
            return
        end = page[-1]
        last = (end.published_at or end.created_at, end.id)


def _step(run: Run, share: _Share, to: To, why: str) -> DueStep:
    regardless = share.rule.remove == REGARDLESS
    return DueStep(
        run=run.id,
        workflow=run.workflow,
        bytes=run.bytes,
        source=run.product_dir or "",
        frm=share.tier,
        to=to,
        rule=share.rule.name,
        why=why,
        regardless=regardless,
    )
