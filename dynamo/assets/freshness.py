"""Whether data come as they should, by valid time: facts and a clock in, states out.

A feed has a *cadence*, its usual time between two valid times, and a *delay*, its usual time from the valid time until
the file is here. It is late once more than some cadences and the delay have passed since its newest valid time. What a
backfill makes counts for nothing here: `Series.live_at` does not move with it.

A workflow is due only if a run was made for it: where the trigger's condition is not met, nothing is expected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median

from dynamo.texts import one_line
from dynamo.times import in_words

#: The cadence of what must come, until it is known, seconds.
DEFAULT_CADENCE_S = 600.0
#: So many valid times tell a cadence.
LEARNED_FROM = 64
_LEAST_TIMES = 4
#: Data older than this on arrival are not live.
_OLD = timedelta(days=1)
#: A delay that is longer is not usual, but a backlog, seconds.
_LONGEST_DELAY_S = 3600.0
#: One run may fail for its input alone.
_FAILURES = 2
#: Characters of a job's message that a reason has.
_LONGEST_MESSAGE = 120
#: Ended without products because nobody wants them any more.
_DROPPED = ("skipped", "cancelled")


class State(StrEnum):
    """How data, or the reports of a job, come."""

    FRESH = "fresh"
    LATE = "late"
    SILENT = "silent"
    FAILED = "failed"
    NOT_EXPECTED = "not expected"


@dataclass(frozen=True)
class Freshness:
    """A state and its reason.

    Attributes
    ----------
    due_at
        When it becomes a problem; None if it is none.
    age_s
        Age of the newest valid time, seconds; None if nothing has come.
    late_after_s
        The age at which it is late, seconds; None if that is unknown.
    """

    state: State
    reason: str
    due_at: datetime | None = None
    age_s: float | None = None
    late_after_s: float | None = None

    def is_problem(self, now: datetime) -> bool:
        """Return whether somebody should know."""
        return self.due_at is not None and self.due_at <= now


@dataclass(frozen=True)
class Limits:
    """After how many cadences data are late, and silent."""

    late: float = 3.0
    silent: float = 12.0


@dataclass(frozen=True)
class Habit:
    """How the data of a series usually come.

    Attributes
    ----------
    cadence_s
        Usual time between valid times, seconds; None if it is unknown.
    delay_s
        Usual time from the valid time until they are here, seconds.
    is_old
        Whether nothing but old data has come: an archive, not a live feed.
    """

    cadence_s: float | None = None
    delay_s: float = 0.0
    is_old: bool = False

    def after_s(self, cadences: float) -> float:
        """Return the age after so many cadences, seconds."""
        return cadences * (self.cadence_s or DEFAULT_CADENCE_S) + self.delay_s


@dataclass(frozen=True)
class FeedFacts:
    """What is known of a feed and radar.

    Attributes
    ----------
    live_at
        Newest valid time that came by itself.
    since
        When the daemon began to watch.
    must_come
        Whether the configuration says that it does: by `expect` or `cadence_s`.
    made_by
        The workflow whose products these are; empty if they come from outside.
    maintenance
        The reason of the maintenance that goes on; empty if none does.
    """

    live_at: datetime | None
    since: datetime
    must_come: bool = False
    made_by: str = ""
    maintenance: str = ""


@dataclass(frozen=True)
class RunFacts:
    """One live run of a workflow that is newer than its newest products."""

    state: str
    created_at: datetime
    reason: str = ""


@dataclass(frozen=True)
class LineFacts:
    """What is known of the products of a workflow, for one trigger and radar.

    Attributes
    ----------
    runs
        Its runs since the newest products, the newest first.
    feed
        What its input was judged to be, and ``feed_name`` what it is called.
    """

    live_at: datetime | None
    feed: Freshness
    feed_name: str
    runs: Sequence[RunFacts] = ()
    maintenance: str = ""


@dataclass(frozen=True)
class JobFacts:
    """What a job reported last.

    Attributes
    ----------
    known_at
        Since when reports are expected.
    started_at
        When it began; None if it has ended.
    failed_at
        When it failed; None if it succeeded since, and ``message`` what it said when it ended.
    maintenance
        The reason of the maintenance that goes on; empty if none does.
    """

    known_at: datetime
    started_at: datetime | None = None
    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    message: str = ""
    maintenance: str = ""


def learn(arrivals: Sequence[tuple[datetime, datetime]], cadence_s: float | None = None) -> Habit:
    """Return how data usually come.

    The cadence is the longest pause that occurs again and again: a volume's sweeps come in bursts, and a radar changes
    between modes. One outage does not count.

    Parameters
    ----------
    arrivals
        Valid times and when they came, in any order.
    cadence_s
        The declared cadence, seconds.
    """
    if not arrivals:
        return Habit(cadence_s)
    valid = sorted({at for at, _ in arrivals})
    if cadence_s is None and len(valid) >= _LEAST_TIMES:
        pauses = sorted((late - early).total_seconds() for early, late in pairwise(valid))
        # How often it must have occurred grows with what there is to learn from.
        cadence_s = pauses[-min(3, 1 + len(pauses) // 5)]
    delays = sorted((came - at).total_seconds() for at, came in arrivals)
    return Habit(
        cadence_s,
        delay_s=min(max(median(delays), 0.0), _LONGEST_DELAY_S),
        is_old=delays[0] > _OLD.total_seconds(),
    )


def judge_feed(facts: FeedFacts, habit: Habit, limits: Limits, now: datetime) -> Freshness:
    """Return the state of a feed for one radar."""
    late_s, silent_s = habit.after_s(limits.late), habit.after_s(limits.silent)
    at = facts.live_at
    age_s = None if at is None else max(0.0, (now - at).total_seconds())
    state, due_at = State.NOT_EXPECTED, None
    known_s = late_s if habit.cadence_s is not None or facts.must_come else None
    if at is not None and age_s is not None and age_s <= late_s:
        state, reason = State.FRESH, _newest(at, age_s)
    elif facts.maintenance:
        reason = facts.maintenance
    elif at is None or age_s is None:
        if facts.must_come:
            state, due_at = State.SILENT, facts.since + timedelta(seconds=late_s)
        reason = "nothing has ever come" if facts.must_come else "nothing has come yet, and nothing says that it must"
    elif not facts.must_come and facts.made_by:
        reason = f"made by {facts.made_by} when there is something to make"
    elif not facts.must_come and habit.is_old:
        reason = f"only old data came; {_newest(at, age_s)}"
    elif not facts.must_come and habit.cadence_s is None:
        reason = f"its cadence is unknown yet; {_newest(at, age_s)}"
    else:
        state = State.LATE if age_s <= silent_s else State.SILENT
        due_at = at + timedelta(seconds=late_s)
        reason = f"{_newest(at, age_s)}; late after {length_in_words(late_s)}"
    return Freshness(state, reason, due_at, age_s, known_s)


def judge_line(facts: LineFacts, habit: Habit, limits: Limits, now: datetime) -> Freshness:
    """Return the state of a workflow's products for one trigger and radar."""
    late_s, silent_s = habit.after_s(limits.late), habit.after_s(limits.silent)
    at = facts.live_at
    age_s = None if at is None else max(0.0, (now - at).total_seconds())
    due_at = None
    wanted = [run for run in facts.runs if run.state not in _DROPPED]
    failed = _leading_failures(wanted)
    oldest = min((run.created_at for run in wanted), default=now)
    waited_s = (now - oldest).total_seconds()
    if facts.maintenance and (age_s is None or age_s > late_s):
        state, reason = State.NOT_EXPECTED, facts.maintenance
    elif failed >= _FAILURES:
        state = State.LATE if waited_s <= silent_s else State.SILENT
        due_at, reason = oldest, f"its last {failed} runs failed: {wanted[0].reason or 'no reason was stored'}"
    elif wanted and waited_s > late_s:
        state = State.LATE if waited_s <= silent_s else State.SILENT
        due_at = oldest + timedelta(seconds=late_s)
        what = "failed" if failed else "is not done"
        reason = f"a run that began {length_in_words(waited_s)} ago {what}; late after {length_in_words(late_s)}"
    elif at is not None and age_s is not None and age_s <= late_s:
        state, reason = State.FRESH, _newest(at, age_s)
    elif wanted:
        state, reason = State.FRESH, f"a run began {length_in_words(waited_s)} ago"
    elif facts.feed.state in (State.LATE, State.SILENT):
        state, reason = State.NOT_EXPECTED, f"its feed {facts.feed_name} is {facts.feed.state}"
    else:
        reason = "no run was due since" if at is not None else "no run was due yet"
        state, reason = State.NOT_EXPECTED, reason if at is None else f"{reason}; {_newest(at, age_s or 0.0)}"
    return Freshness(state, reason, due_at, age_s, late_s)


def judge_job(facts: JobFacts, period_s: float, grace_s: float, now: datetime) -> Freshness:
    """Return the state of a job that reports to us."""
    succeeded, failed, started = facts.succeeded_at, facts.failed_at, facts.started_at
    age_s = None if succeeded is None else max(0.0, (now - succeeded).total_seconds())
    late_s, grace = period_s + grace_s, timedelta(seconds=grace_s)
    missed_at = (succeeded or facts.known_at) + timedelta(seconds=late_s)
    state, due_at = State.FRESH, None
    if failed is not None:
        state, due_at = State.FAILED, failed
        reason = f"it reported a failure at {failed:%Y-%m-%d %H:%MZ}"
        reason += f": {_end_of(facts.message)}" if facts.message else ""
    elif facts.maintenance and (missed_at <= now or age_s is None):
        state, reason = State.NOT_EXPECTED, facts.maintenance
    elif missed_at <= now:
        state, due_at = State.SILENT, missed_at
        reason = "it never succeeded" if age_s is None else f"its last success was {length_in_words(age_s)} ago"
    elif started is not None and started + grace <= now and not facts.maintenance:
        state, due_at = State.LATE, started + grace
        reason = f"it began {length_in_words((now - started).total_seconds())} ago and has not ended"
    elif age_s is None:
        state, reason = State.NOT_EXPECTED, "its first report is not due yet"
    else:
        reason = f"it succeeded {length_in_words(age_s)} ago"
    return Freshness(state, reason, due_at, age_s, late_s)


def _end_of(message: str) -> str:
    """Return the end of a message on one line: there a failed job says why."""
    text = one_line(message)
    return text if len(text) <= _LONGEST_MESSAGE else f"...{text[-_LONGEST_MESSAGE:]}"


def _leading_failures(runs: Sequence[RunFacts]) -> int:
    for count, run in enumerate(runs):
        if run.state != "failed":
            return count
    return len(runs)


def _newest(at: datetime, age_s: float) -> str:
    return f"newest valid time {at:%Y-%m-%d %H:%MZ}, {length_in_words(age_s)} ago"


def length_in_words(seconds: float) -> str:
    """Return a time for people: in seconds up to two minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else in_words(timedelta(seconds=seconds))
