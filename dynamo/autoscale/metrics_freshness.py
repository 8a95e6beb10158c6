"""Gauges of how data and jobs come; one scrape never has more series than a few hundred subjects need."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.assets.freshness import State
from dynamo.assets.watched import JOB, Watched
from dynamo.store.problems import ProblemRecord

#: Subjects with series of their own; radars are named by files, and files may name anything.
MOST_SUBJECTS = 300
PROBLEMS = (State.LATE, State.SILENT, State.FAILED)

Gauges = Mapping[str, dict[tuple[str, ...], float]]


def read_freshness(session: Session, watched: Watched, gauges: Gauges, now: datetime) -> None:
    """Fill in the state and age of everything that is watched: first what is late, then the rest by name."""
    states = watched.judge(session, now)
    ranked = sorted(states, key=lambda subject: (states[subject].state not in PROBLEMS, str(subject)))
    for subject in ranked[:MOST_SUBJECTS]:
        found = states[subject]
        labels = subject.kind, subject.name, subject.trigger, subject.radar
        for state in State:
            if state is not State.FAILED or subject.kind == JOB:
                gauges["dynamo_freshness"][*labels, state.value] = float(found.state is state)
        if found.age_s is not None:
            gauges["dynamo_data_age_seconds"][labels] = found.age_s
    gauges["dynamo_freshness_omitted"][()] = float(max(0, len(ranked) - MOST_SUBJECTS))


def read_problems(session: Session, gauges: Gauges) -> None:
    """Fill in how many problems are open."""
    still_open = select(ProblemRecord.kind, func.count()).where(ProblemRecord.closed_at.is_(None))
    counts = dict(session.execute(still_open.group_by(ProblemRecord.kind)).all())
    for state in PROBLEMS:
        gauges["dynamo_problems_open"][(state.value,)] = float(counts.get(state.value, 0))
