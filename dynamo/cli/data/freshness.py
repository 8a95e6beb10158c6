"""`dynamo freshness` and `dynamo problems`: whether data come as they should, and what was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.assets.freshness import State
from dynamo.cli.console import print_json
from dynamo.cli.options import FeedOption, RadarOption, SinceOption, TriggerOption, WideOption, choose, state_option
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import named, print_table, worded
from dynamo.cli.watch import ConfigOption
from dynamo.runs.series import FEED

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dynamo.assets.freshness import Freshness
    from dynamo.assets.watched import Subject
    from dynamo.config.file import Config
    from dynamo.store.problems import ProblemRecord

_BAD = (State.LATE, State.SILENT, State.FAILED)
FreshStateOption = state_option(State)
ProblemStateOption = state_option(_BAD)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("freshness")(freshness)
    group = typer.Typer(no_args_is_help=True, help="List what is, or was, late, silent or failed.")
    group.command("list")(list_problems)
    app.add_typer(group, name="problems")


def freshness(
    radar: str | None = RadarOption,
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    state: list[str] = FreshStateOption,
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show whether feeds, workflows and jobs come as they should, by valid time.

    States: fresh, late, silent, failed (of jobs), not expected. What a backfill makes is never fresh.

    Examples:

    `dynamo freshness`

    `dynamo freshness --radar KFWS --since 2d`: without what has been dead for longer.
    """
    from dynamo.assets.watched import Watched
    from dynamo.times import utc_now

    now = utc_now()
    chosen = choose(since=since, feed=feed, trigger=trigger, radar=radar, states=state, known=tuple(State))
    begin = chosen.since
    with _opened(config) as (settings, url, session):
        states = Watched(settings, now).judge(session, now)
    oldest_s = float("inf") if begin is None else (now - begin).total_seconds()
    of_feed = {section.name for section in settings.triggers if section.feed == feed}
    shown = [
        (subject, found)
        for subject, found in states.items()
        if (radar is None or subject.radar == radar.upper())
        and (feed is None or (subject.kind == FEED and subject.name == feed) or subject.trigger in of_feed)
        and (trigger is None or subject.trigger == trigger)
        and (not state or found.state in state)
        and (begin is None or (found.age_s is not None and found.age_s <= oldest_s))
    ]
    if as_json:
        print_json([_state_json(subject, found) for subject, found in shown])
        return
    empty = chosen.none("feeds, workflows or jobs", url, config)
    print_table(
        "",
        (named("subject"), "state", worded("why")),
        [(subject, found.state, found.reason) for subject, found in shown],
        empty=empty if states else "no feed, trigger or job is configured",
        whole=wide,
    )


def list_problems(
    everything: bool = typer.Option(False, "--all", "-a", help="Also those that are over."),
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    state: list[str] = ProblemStateOption,
    radar: str | None = RadarOption,
    limit: int = typer.Option(50, "--limit", "-n", min=1, max=10_000, help="At most N."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List the problems that are open, the newest first: what is late, silent or failed, since when, and why.

    `dynamo watch` opens and closes them. A problem that went from late to silent stays one problem.

    Examples:

    `dynamo problems list`

    `dynamo problems list --since 7d --radar KFWS`: also those that are over.
    """
    from sqlalchemy import or_, select

    from dynamo.assets.watched import about_feed, about_radar, about_trigger
    from dynamo.store.problems import ProblemRecord

    chosen = choose(since=since, feed=feed, trigger=trigger, radar=radar, states=state, known=_BAD)
    query = select(ProblemRecord).order_by(ProblemRecord.opened_at.desc(), ProblemRecord.id.desc()).limit(limit)
    still_open = ProblemRecord.closed_at.is_(None)
    if chosen.since is not None:
        query = query.where(or_(still_open, ProblemRecord.closed_at >= chosen.since))
    elif not everything:
        query = query.where(still_open)
    if radar is not None:
        query = query.where(about_radar(ProblemRecord.subject, radar.upper()))
    if feed is not None:
        query = query.where(about_feed(ProblemRecord.subject, feed))
    if trigger is not None:
        query = query.where(about_trigger(ProblemRecord.subject, trigger))
    if state:
        query = query.where(ProblemRecord.kind.in_(state))
    with _opened(config) as (_, store, session):
        found = session.scalars(query).all()
    if as_json:
        print_json([_problem_json(problem) for problem in found])
        return
    what = "problems" if everything or since else "open problems"
    print_table(
        "",
        (named("subject"), "state", "since", "lasted", worded("why")),
        [(p.subject, p.kind, p.opened_at, _lasted(p), p.ending or p.reason) for p in found],
        empty=chosen.none(what, store, config),
        whole=wide,
    )


@contextmanager
def _opened(config: Path | None) -> Iterator[tuple[Config, str, Session]]:
    """Open the configured store; return the configuration and the store's address with it."""
    from dynamo.cli.stores import look
    from dynamo.config.file import find_config

    settings = find_config(config)
    store = look(config)
    try:
        with store.reading() as session:
            yield settings, store.url, session
    finally:
        store.close()


def _state_json(subject: Subject, found: Freshness) -> dict[str, Any]:
    return {
        "subject": str(subject),
        "kind": subject.kind,
        "name": subject.name,
        "trigger": subject.trigger,
        "radar": subject.radar,
        "state": str(found.state),
        "reason": found.reason,
        "age_s": found.age_s,
        "late_after_s": found.late_after_s,
    }


def _lasted(problem: ProblemRecord) -> str:
    from dynamo.assets.freshness import length_in_words

    if problem.closed_at is None:
        return "open"
    return length_in_words((problem.closed_at - problem.opened_at).total_seconds())


def _problem_json(problem: ProblemRecord) -> dict[str, Any]:
    from dynamo.times import to_iso

    return {
        "id": problem.id,
        "subject": problem.subject,
        "state": problem.kind,
        "opened_at": to_iso(problem.opened_at.replace(microsecond=0)),
        "closed_at": None if problem.closed_at is None else to_iso(problem.closed_at.replace(microsecond=0)),
        "reason": problem.reason,
        "ending": problem.ending,
        "told": problem.told,
    }
