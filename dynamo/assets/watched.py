"""What is watched, and how it comes: read from the store by index, for feeds, workflows, and jobs of other people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from dynamo.assets.freshness import (
    LEARNED_FROM,
    FeedFacts,
    Freshness,
    Habit,
    JobFacts,
    Limits,
    LineFacts,
    RunFacts,
    judge_feed,
    judge_job,
    judge_line,
    learn,
)
from dynamo.config.feeds import FeedSection
from dynamo.config.file import Config
from dynamo.config.triggers import TriggerSection
from dynamo.documents.loading import read_data
from dynamo.errors import DynamoError
from dynamo.runs.series import FEED, WORKFLOW
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Run, Series
from dynamo.store.problems import JobReport
from dynamo.times import CLOCK_TOLERANCE
from dynamo.workflows.workflow import find_workflow

#: A habit is learned again after this time.
_RELEARN = timedelta(minutes=10)
#: So many runs tell whether the products of a workflow will come.
_RUNS_LOOKED_AT = 10
JOB = "job"
_NEVER = float("inf")


@dataclass(frozen=True)
class Subject:
    """What a state is about: a feed and radar, a workflow's products, or a job."""

    kind: str
    name: str
    trigger: str = ""
    radar: str = ""

    def __str__(self) -> str:
        """Return it as it is stored and shown."""
        return f"{self.kind}:" + "/".join(part for part in (self.name, self.trigger, self.radar) if part)


States = dict[Subject, Freshness]


def about_radar(subject: InstrumentedAttribute[str], radar: str) -> ColumnElement[bool]:
    """Return the condition that a stored subject is a radar's; jobs have none."""
    return and_(subject.endswith(f"/{radar}", autoescape=True), ~subject.startswith(f"{JOB}:"))


def about_feed(subject: InstrumentedAttribute[str], feed: str) -> ColumnElement[bool]:
    """Return the condition that a stored subject is a feed, or one of its radars."""
    return or_(subject == f"{FEED}:{feed}", subject.startswith(f"{FEED}:{feed}/", autoescape=True))


def about_trigger(subject: InstrumentedAttribute[str], trigger: str) -> ColumnElement[bool]:
    """Return the condition that a stored subject are products of what a trigger started."""
    named = f"/{trigger}"
    here = or_(subject.endswith(named, autoescape=True), subject.contains(f"{named}/", autoescape=True))
    return and_(subject.startswith(f"{WORKFLOW}:", autoescape=True), here)


@dataclass(frozen=True)
class _Learned:
    habit: Habit
    live_at: datetime | None
    at: datetime


class Watched:
    """Judges everything that a configuration watches; remembers habits, so that a look costs little.

    Parameters
    ----------
    config
        The configuration.
    since
        When watching began: what never came is missed from then on.
    """

    def __init__(self, config: Config, since: datetime) -> None:
        self._config = config
        self._since = since
        self._limits = Limits(config.freshness.late_cadences, config.freshness.silent_cadences)
        # An asset that is declared for a feed says its cadence, too, but not that it must come.
        declared = {asset.of: asset.cadence_s for asset in config.assets}
        self._cadences = {feed.name: feed.cadence_s or declared.get(feed.name) for feed in config.feeds}
        self._habits: dict[Subject, _Learned] = {}
        #: The names of the triggers' workflows; empty for one that cannot be read.
        self._workflows: dict[str, str] = {}

    def judge(self, session: Session, now: datetime) -> States:
        """Return the state of each feed and radar, each workflow's products, and each job."""
        series: dict[str, list[Series]] = defaultdict(list)
        for row in session.scalars(select(Series).where(Series.variant == "")):
            series[row.kind].append(row)
        states: States = {}
        for feed in self._config.feeds:
            states |= self._judge_feed(session, feed, [row for row in series[FEED] if row.name == feed.name], now)
        for trigger in self._config.triggers:
            lines = [row for row in series[WORKFLOW] if row.trigger == trigger.name]
            states |= self._judge_lines(session, trigger, lines, states, now)
        return states | self._judge_jobs(session, now)

    def _judge_feed(self, session: Session, feed: FeedSection, rows: Sequence[Series], now: datetime) -> States:
        live = {row.radar: row.live_at for row in rows}
        # However it is written in the configuration: a radar is called what its data call it.
        called = {radar.upper(): radar for radar in live}
        expected = {called.get(radar.upper(), radar.upper()) for radar in feed.expect}
        if not live and not expected:
            expected = {""}
        must_come = feed.cadence_s is not None
        return {
            subject: judge_feed(
                FeedFacts(
                    _not_ahead(live.get(subject.radar), now),
                    self._since,
                    must_come or subject.radar in expected - {""},
                    feed.made_by or "",
                    self._maintenance(feed.name, subject.radar, now),
                ),
                self._habit(session, subject, live.get(subject.radar), now),
                self._limits,
                now,
            )
            for subject in (Subject(FEED, feed.name, radar=radar) for radar in sorted(live.keys() | expected))
        }

    def _judge_lines(
        self, session: Session, trigger: TriggerSection, rows: Sequence[Series], states: States, now: datetime
    ) -> States:
        """Judge what a trigger starts, for each radar of its feed and for several together."""
        feeds = {subject.radar: (subject, found) for subject, found in states.items() if _is_of(subject, trigger.feed)}
        live = {(row.name, row.radar): row.live_at for row in rows}
        found: States = {}
        for workflow, radar in self._lines(trigger, live.keys(), feeds.keys()):
            subject = Subject(WORKFLOW, workflow, trigger.name, radar)
            live_at = _not_ahead(live.get((workflow, radar)), now)
            runs = _runs_since(session, subject, live_at, now)
            if live_at is None and not runs:
                continue
            # Several radars together wait for the one that is best off.
            source, feed = feeds.get(radar) or min(
                feeds.values(), key=lambda item: _NEVER if item[1].age_s is None else item[1].age_s
            )
            found[subject] = judge_line(
                LineFacts(live_at, feed, str(source), runs, self._maintenance(trigger.feed, radar, now)),
                self._line_habit(session, subject, source, live_at, now),
                self._limits,
                now,
            )
        return found

    def _lines(
        self, trigger: TriggerSection, known: Iterable[tuple[str, str]], radars: Iterable[str]
    ) -> list[tuple[str, str]]:
        """Return the workflow and radar of all products that a trigger may start, also of those never published."""
        name = self._workflow_of(trigger)
        return sorted({*known, *((name, radar) for radar in ("", *radars) if name)})

    def _workflow_of(self, trigger: TriggerSection) -> str:
        if trigger.name not in self._workflows:
            try:
                data = read_data(find_workflow(trigger.workflow))
            except DynamoError:
                data = None
            name = data.get("name") if isinstance(data, dict) else None
            self._workflows[trigger.name] = name if isinstance(name, str) else ""
        return self._workflows[trigger.name]

    def _judge_jobs(self, session: Session, now: datetime) -> States:
        if not self._config.jobs:
            return {}
        reports = {row.name: row for row in session.scalars(select(JobReport))}
        # A window that names neither feeds nor radars is about everything here.
        maintenance = self._maintenance("", "", now)
        found: States = {}
        for job in self._config.jobs:
            row = reports.get(job.name)
            facts = JobFacts(self._since)
            if row is not None:
                facts = JobFacts(row.known_at, row.started_at, row.succeeded_at, row.failed_at, row.message)
            facts = replace(facts, maintenance=maintenance)
            found[Subject(JOB, job.name)] = judge_job(facts, job.period_s, job.grace_s, now)
        return found

    def _maintenance(self, feed: str, radar: str, now: datetime) -> str:
        return next((window.reason for window in self._config.maintenance if window.covers(now, feed, radar)), "")

    def _habit(self, session: Session, subject: Subject, live_at: datetime | None, now: datetime) -> Habit:
        declared = self._cadences[subject.name]
        if live_at is None:
            return Habit(declared)
        return self._learned(subject, live_at, now, lambda: learn(_arrivals(session, subject, now), declared))

    def _line_habit(
        self, session: Session, subject: Subject, source: Subject, live_at: datetime | None, now: datetime
    ) -> Habit:
        """Return the habit of a workflow's products: the cadence of their source, with a delay of their own."""
        learned = self._habits.get(source)
        cadence_s = learned.habit.cadence_s if learned else self._cadences[source.name]
        if live_at is None:
            return Habit(cadence_s)
        habit = self._learned(subject, live_at, now, lambda: learn(_publications(session, subject, live_at), 0.0))
        return replace(habit, cadence_s=cadence_s)

    def _learned(self, subject: Subject, live_at: datetime, now: datetime, study: Callable[[], Habit]) -> Habit:
        """Return a habit, learned again if it is old and there are newer data."""
        known = self._habits.get(subject)
        if known is None or (known.live_at != live_at and abs(now - known.at) >= _relearn(known.habit)):
            known = self._habits[subject] = _Learned(study(), live_at, now)
        return known.habit


def enroll_jobs(session: Session, config: Config, now: datetime) -> None:
    """Expect reports of the configured jobs from now on, and of no others.

    Times ahead of the clock become now: if it was set back, nothing is taken for fresh until it has caught up.
    """
    names = [job.name for job in config.jobs]
    session.execute(delete(JobReport).where(JobReport.name.not_in(names)))
    for name in names:
        none: dict[str, None] = dict.fromkeys(("started_at", "succeeded_at", "failed_at"))
        insert_new(session, JobReport, name=name, known_at=now, **none)
    for column in (JobReport.known_at, JobReport.started_at, JobReport.succeeded_at):
        session.execute(update(JobReport).where(column > now).values({column: now}))


def _relearn(habit: Habit) -> timedelta:
    """Return how long a habit is believed: not long while there is little to learn from."""
    return timedelta(0) if habit.cadence_s is None else _RELEARN


def _is_of(subject: Subject, feed: str) -> bool:
    return subject.kind == FEED and subject.name == feed


def _not_ahead(at: datetime | None, now: datetime) -> datetime | None:
    """Return a time, cut to now: after a clock was set back, data from before the change are not fresh for long."""
    return None if at is None else min(at, now)


def _arrivals(session: Session, subject: Subject, now: datetime) -> list[tuple[datetime, datetime]]:
    """Return the newest valid times of a feed and radar, and when each came."""
    found = session.execute(
        select(Arrival.valid_at, Arrival.recorded_at)
        .where(
            Arrival.feed == subject.name,
            Arrival.radar == subject.radar,
            Arrival.valid_at <= now + CLOCK_TOLERANCE,
            Arrival.state == "accepted",
        )
        .order_by(Arrival.valid_at.desc())
        .limit(LEARNED_FROM)
    )
    return [(at, came) for at, came in found if at is not None]


def _publications(session: Session, subject: Subject, newest: datetime) -> list[tuple[datetime, datetime]]:
    """Return the newest valid times of a workflow's live products, and when each was published."""
    found = session.execute(
        select(Run.valid_at, Run.published_at)
        .where(*_line(subject), Run.valid_at <= newest, Run.published_at.is_not(None))
        .order_by(Run.valid_at.desc())
        .limit(LEARNED_FROM)
    )
    return [(at, came) for at, came in found if at is not None and came is not None]


def _runs_since(session: Session, subject: Subject, live_at: datetime | None, now: datetime) -> list[RunFacts]:
    """Return the live runs that are newer than a workflow's newest products, the newest first."""
    newer = Run.valid_at.is_not(None) if live_at is None else Run.valid_at > live_at
    found = session.execute(
        select(Run.state, Run.created_at, Run.reason)
        .where(*_line(subject), newer, Run.valid_at <= now + CLOCK_TOLERANCE, Run.state != "succeeded")
        .order_by(Run.valid_at.desc())
        .limit(_RUNS_LOOKED_AT)
    )
    return [RunFacts(state, created_at, reason) for state, created_at, reason in found]


def _line(subject: Subject) -> tuple[ColumnElement[bool], ...]:
    return (
        Run.workflow == subject.name,
        Run.trigger == subject.trigger,
        Run.radar == subject.radar,
        Run.variant == "",
        Run.origin != "backfill",
    )
