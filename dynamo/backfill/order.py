"""What is asked for: a trigger or a workflow over a range of valid times, checked and stored as one row."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.backfill.states import ACTIVE, LIST, MAKE, OPEN
from dynamo.config.file import Config
from dynamo.config.triggers import TriggerSection
from dynamo.documents.problems import did_you_mean
from dynamo.doors import TRIGGERS
from dynamo.engines.base import BACKGROUND
from dynamo.errors import InputError, NotFoundError, UsageError
from dynamo.runs.ledger import RunRequest, decide, keep_document
from dynamo.runs.planning import Planner
from dynamo.store.backfills import Backfill
from dynamo.store.models import StoredDocument
from dynamo.times import to_iso, utc_now
from dynamo.triggers.arrival import ArrivalOptions
from dynamo.triggers.rules import Rule, make_rule, make_trigger

#: The trigger of runs of a workflow that no trigger is named for.
ALONE = "backfill"
_VARIANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Order:
    """What to make again; ``folder`` replaces the arrivals of the rule's feed."""

    rule: Rule
    section: TriggerSection
    since: datetime
    until: datetime
    radars: tuple[str, ...] = ()
    folder: Path | None = None
    variant: str = ""
    at_most: int = 1

    def stamped(self, request: RunRequest, backfill: str) -> RunRequest:
        """Return a request as one of this backfill: behind all live work, without a deadline."""
        return stamped(request, backfill, self.variant)


def stamped(request: RunRequest, backfill: str, variant: str) -> RunRequest:
    """Return a request as one of a backfill: behind all live work, without a deadline or the latency of its file."""
    return replace(
        request,
        origin="backfill",
        backfill=backfill,
        variant=variant,
        priority=BACKGROUND,
        deadline_at=None,
        closed_at=None,
        detected_at=None,
    )


def compose(
    config: Config,
    planner: Planner,
    name: str,
    *,
    since: datetime,
    until: datetime,
    radars: Sequence[str] = (),
    folder: Path | None = None,
    parameters: Mapping[str, object] | None = None,
    variant: str = "",
    at_most: int = 1,
    feed: str | None = None,
    port: str | None = None,
    engine: str | None = None,
) -> Order:
    """Return what is asked for, checked.

    Parameters
    ----------
    config, planner
        The configuration, and what reads workflow documents.
    name
        A trigger of the configuration; else a workflow, which takes each file of ``feed`` or ``folder`` at ``port``.
    since, until
        The range of valid times, without its end; what lies in the future is left out.
    radars
        Only data of these.
    folder
        Take its files instead of a feed's arrivals.
    parameters
        Replace the trigger's.
    variant
        Publish under this name beside the current products.
    at_most
        Runs at once.
    engine
        Instead of the configured one.

    Raises
    ------
    InputError, NotFoundError, UsageError
        If anything about it is wrong.
    """
    now = utc_now()
    if until <= since:
        raise InputError(
            f"the range ends at {to_iso(until)}", where="--until", expected=f"a time after its start {to_iso(since)}"
        )
    if since >= now:
        raise InputError(f"the range starts at {to_iso(since)}, in the future", where="--since")
    if variant and not _VARIANT.fullmatch(variant):
        raise UsageError(f"not a name: {variant!r:.80}", where="--as", expected="letters, digits, and . _ -")
    if folder is not None and not folder.is_dir():
        raise NotFoundError("no such folder", where=folder)
    section = _section(config, name, feed, port, folder)
    section = section.model_copy(
        update={"parameters": {**section.parameters, **(parameters or {})}, "engine": engine or section.engine}
    )
    rule = make_rule(section, make_trigger(section, config), config, planner)
    radars = tuple(dict.fromkeys(radar.upper() for radar in radars))
    return Order(rule, section, since, min(until, now), radars, folder, variant, at_most)


def start(session: Session, order: Order) -> Backfill:
    """Store a backfill; whoever works on backfills makes its runs.

    Raises
    ------
    UsageError
        If another one that is not over covers a part of it.
    """
    rule, now = order.rule, utc_now()
    if (other := overlapping(session, order)) is not None:
        raise UsageError(
            f"backfill {other.id} is {other.state} and covers {to_iso(other.since)} to {to_iso(other.until)}",
            where=rule.name,
            expected="one backfill of a range at a time",
            hint=f"dynamo backfill show {other.id}",
        )
    workflow = rule.workflow
    keep_document(session, workflow, now)
    name = secrets.token_hex(4)
    row = Backfill(
        id=name,
        state=ACTIVE,
        reason="",
        phase=MAKE if order.folder is None else LIST,
        trigger=rule.name,
        workflow=workflow.name,
        document=workflow.sha256,
        section=order.section.model_dump(mode="json"),
        port=rule.port,
        files={port: str(path) for port, path in rule.files.items()},
        parameters=dict(rule.parameters),
        engine=rule.engine,
        feed=rule.trigger.feed if order.folder is None else f"backfill {name}",
        folder="" if order.folder is None else str(order.folder),
        radars=list(order.radars),
        since=order.since,
        until=order.until,
        variant=order.variant,
        at_most=order.at_most,
        listed="",
        cursor_id=0,
        slots=0,
        made=0,
        had=0,
        refused=0,
        gone=0,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    decide(session, f"backfill {name}", "start", "requested", trigger=rule.name, workflow=workflow.name)
    session.flush()
    return row


def overlapping(session: Session, order: Order) -> Backfill | None:
    """Return a backfill that is not over and makes some of the same products."""
    rows = session.scalars(
        select(Backfill).where(
            Backfill.state.in_(OPEN),
            Backfill.trigger == order.rule.name,
            Backfill.workflow == order.rule.workflow.name,
            Backfill.variant == order.variant,
            Backfill.since < order.until,
            Backfill.until > order.since,
        )
    )
    mine = set(order.radars)
    return next((row for row in rows if not mine or not row.radars or mine & set(row.radars)), None)


def order_of(session: Session, row: Backfill, config: Config, planner: Planner) -> Order:
    """Return a stored backfill as it was started, whatever the configuration and the document say now.

    Raises
    ------
    DynamoError
        If a part it needs is gone, such as a module or a kind of trigger.
    """
    kind = str(row.section["kind"])
    section = TRIGGERS.load(kind).options.model_validate(row.section, strict=False)
    workflow = planner.from_body(session.get_one(StoredDocument, row.document).body)
    rule = Rule(
        name=row.trigger,
        kind=kind,
        trigger=make_trigger(section, config),
        workflow=workflow,
        port=row.port,
        parameters=dict(row.parameters),
        levels=frozenset(planner.levels(workflow, row.parameters)),
        engine=row.engine,
        priority=BACKGROUND,
        deadline_s=None,
        files={port: Path(path) for port, path in row.files.items()},
    )
    folder = Path(row.folder) if row.folder else None
    return Order(rule, section, row.since, row.until, tuple(row.radars), folder, row.variant, row.at_most)


def _section(config: Config, name: str, feed: str | None, port: str | None, folder: Path | None) -> TriggerSection:
    """Return the section of a trigger, or one that takes each file for a workflow."""
    sections = {section.name: section for section in config.triggers}
    if name in sections and feed is None and port is None:
        return sections[name]
    feeds = [section.name for section in config.feeds]
    if feed is None and folder is None:
        raise NotFoundError(
            f"no trigger {name!r:.80}{did_you_mean(name, sections)}",
            where="dynamo.toml",
            expected="a trigger of the configuration, or a workflow with --feed or --from",
            hint="dynamo triggers list",
        )
    if feed is not None and feed not in feeds:
        raise NotFoundError(f"no feed {feed!r:.80}{did_you_mean(feed, feeds)}", expected=", ".join(feeds) or None)
    return ArrivalOptions(name=ALONE, feed=feed or ALONE, workflow=name, input=port)
