"""What goes on, at a glance: daemons, data, runs, problems, fleets and their cost, from the store alone.

It works while daemons are down, and then says so: the terminal and the API show the same facts.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

import dynamo
from dynamo.assets.watched import Watched
from dynamo.config.file import Config
from dynamo.provision.cycle.accounting import spent_by_now
from dynamo.provision.deciding.lifecycle import FINAL
from dynamo.provision.fleets import stored_spec
from dynamo.provision.keeping.presence import ANY_FLEET
from dynamo.provision.states import ENDED, lease_name
from dynamo.runs.series import FEED
from dynamo.runs.states import ENGAGED, TRANSITIONS
from dynamo.store.fleets import Fleet, Worker
from dynamo.store.lease import NAME, TERM_S, is_free, machine
from dynamo.store.models import ProcessLease, Run
from dynamo.store.problems import ProblemRecord
from dynamo.store.url import store_of
from dynamo.times import utc_now

_DAY = timedelta(days=1)
#: Rows of each list; nobody takes in more at a glance.
_MOST = 50
#: Leases by the commands that hold them.
_CALLED = {NAME: "dynamo watch", ANY_FLEET: "dynamo-provision daemon"}
#: States of a run that somebody works on.
_AT_WORK = ENGAGED | {"publishing"}


@dataclass(frozen=True)
class DaemonSeen:
    """A process that holds a lease of the store, or one that is missing.

    Attributes
    ----------
    name
        Its lease: ``watch``, ``alerts``, ``fleet-daemon:*``, ``fleet:NAME``, ``autoscale:NAME``.
    needed
        Whether nothing goes on without it: feeds are configured, or there are fleets.
    since
        When it began; None if that cannot be seen from here.
    seen_at
        When it last renewed its lease; None if it has none.
    """

    name: str
    alive: bool
    needed: bool
    since: datetime | None
    seen_at: datetime | None
    host: str
    pid: int | None

    @property
    def called(self) -> str:
        """The command that people know it by."""
        return _CALLED.get(self.name, self.name)


@dataclass(frozen=True)
class DataSeen:
    """How the data of a feed and radar, a workflow's products, or a job's reports come."""

    kind: str
    name: str
    trigger: str
    radar: str
    subject: str
    state: str
    reason: str
    age_s: float | None
    is_problem: bool


@dataclass(frozen=True)
class RunSeen:
    """A run that is worked on."""

    id: str
    workflow: str
    radar: str
    state: str
    since: datetime
    jobs_done: int
    jobs_total: int


@dataclass(frozen=True)
class ProblemSeen:
    """An open problem."""

    id: int
    subject: str
    state: str
    opened_at: datetime
    reason: str


@dataclass(frozen=True)
class FleetSeen:
    """A fleet that has not ended, with its workers by state and its cost since midnight UTC."""

    name: str
    state: str
    workers: dict[str, int]
    cpus: int
    busy_cpus: int
    cost_per_hour: float
    cost_today: float
    currency: str


@dataclass(frozen=True)
class Overview:
    """The state of everything at one time.

    Attributes
    ----------
    runs
        Number of runs of the last 24 hours by state.
    waiting, at_work
        Number of runs that nobody has begun, and that are worked on, of any age.
    data
        What is watched, the worst first.
    running
        The newest runs that are worked on.
    problems
        Number of open problems, the newest of which are ``open_problems``.
    """

    now: datetime
    version: str
    store: str
    daemons: tuple[DaemonSeen, ...]
    runs: dict[str, int]
    waiting: int
    at_work: int
    running: tuple[RunSeen, ...]
    data: tuple[DataSeen, ...]
    problems: int
    open_problems: tuple[ProblemSeen, ...]
    fleets: tuple[FleetSeen, ...]

    @property
    def troubles(self) -> tuple[str, ...]:
        """What somebody should look at, a few words each; empty if all is well."""
        found = [f"{daemon.called} is down" for daemon in self.daemons if daemon.needed and not daemon.alive]
        if self.problems:
            found.append(f"{self.problems} open problem{'s' if self.problems > 1 else ''}")
        elif bad := sum(item.is_problem for item in self.data):
            # Nobody opens problems while the daemon is down.
            found.append(f"{bad} overdue or failed")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data, with aware times."""
        return {**asdict(self), "troubles": list(self.troubles)}


def overview(config: Config, session: Session, now: datetime, *, watched: Watched | None = None) -> Overview:
    """Return the state of everything.

    Parameters
    ----------
    now
        The caller's clock.
    watched
        Judges data; one that is kept remembers habits, which saves reading them again.
    """
    fleets = session.scalars(select(Fleet).where(Fleet.state != ENDED).order_by(Fleet.name)).all()
    # All states, for the index: it leaves out what is older in each.
    newer = (Run.state.in_(sorted(TRANSITIONS)), Run.created_at >= now - _DAY)
    recent = select(Run.state, func.count()).where(*newer).group_by(Run.state)
    open_states = ("created", "planned", *_AT_WORK)
    unfinished = dict(
        session.execute(select(Run.state, func.count()).where(Run.state.in_(open_states)).group_by(Run.state)).all()
    )
    still_open = ProblemRecord.closed_at.is_(None)
    return Overview(
        now=now,
        version=dynamo.__version__,
        store=store_of(session),
        daemons=_daemons(session, config, [fleet.name for fleet in fleets]),
        runs=dict(session.execute(recent).all()),
        waiting=sum(count for state, count in unfinished.items() if state not in _AT_WORK),
        at_work=sum(count for state, count in unfinished.items() if state in _AT_WORK),
        running=_running(session),
        data=_data(watched or Watched(config, now), session, now),
        problems=session.scalar(select(func.count(ProblemRecord.id)).where(still_open)) or 0,
        open_problems=tuple(
            ProblemSeen(row.id, row.subject, row.kind, row.opened_at, row.reason)
            for row in session.scalars(
                select(ProblemRecord).where(still_open).order_by(ProblemRecord.opened_at.desc()).limit(_MOST)
            )
        ),
        fleets=_fleets(session, fleets, now),
    )


def _daemons(session: Session, config: Config, fleets: Sequence[str]) -> tuple[DaemonSeen, ...]:
    leases = {lease.name: lease for lease in session.scalars(select(ProcessLease).order_by(ProcessLease.name))}
    alive = {name for name, lease in leases.items() if not is_free(lease)}
    needed = {NAME} if config.feeds or config.triggers else set()
    if any(lease_name(fleet) not in alive for fleet in fleets):
        needed.add(ANY_FLEET)
    return tuple(
        DaemonSeen(
            name=name,
            alive=name in alive,
            needed=name in needed,
            since=_began(leases[name]) if name in alive else None,
            seen_at=leases[name].expires_at - timedelta(seconds=TERM_S) if name in leases else None,
            host=leases[name].host.partition("/")[0] if name in leases else "",
            pid=leases[name].pid if name in leases else None,
        )
        for name in sorted(leases.keys() | needed, key=lambda name: (name != NAME, name))
    )


def _began(lease: ProcessLease) -> datetime | None:
    """Return when a lease's process began; None if it runs elsewhere, or the system does not tell."""
    if lease.host != machine():
        return None
    try:
        up_s = float(Path("/proc/uptime").read_text().split()[0])
        age_s = up_s - int(lease.pid_started) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError):
        return None
    return utc_now().replace(microsecond=0) - timedelta(seconds=round(age_s))


def _data(watched: Watched, session: Session, now: datetime) -> tuple[DataSeen, ...]:
    found = [
        DataSeen(
            kind=subject.kind,
            name=subject.name,
            trigger=subject.trigger,
            radar=subject.radar,
            subject=str(subject),
            state=str(state.state),
            reason=state.reason,
            age_s=state.age_s,
            is_problem=state.is_problem(now),
        )
        for subject, state in watched.judge(session, now).items()
    ]
    return tuple(
        sorted(found, key=lambda item: (not item.is_problem, item.state != "fresh", item.kind != FEED, item.subject))
    )


def _running(session: Session) -> tuple[RunSeen, ...]:
    query = select(Run).where(Run.state.in_(sorted(_AT_WORK))).order_by(Run.created_at.desc()).limit(_MOST)
    return tuple(
        RunSeen(
            id=run.id,
            workflow=run.workflow,
            radar=run.radar,
            state=run.state,
            since=run.started_at or run.created_at,
            jobs_done=run.jobs_done,
            jobs_total=run.jobs_total,
        )
        for run in session.scalars(query)
    )


def _fleets(session: Session, fleets: Sequence[Fleet], now: datetime) -> tuple[FleetSeen, ...]:
    workers: dict[str, list[Worker]] = defaultdict(list)
    names, gone = [fleet.name for fleet in fleets], [state.value for state in FINAL]
    for worker in session.scalars(select(Worker).where(Worker.fleet.in_(names), Worker.state.not_in(gone))):
        workers[worker.fleet].append(worker)
    found = []
    for fleet in fleets:
        here = workers[fleet.name]
        states: dict[str, int] = defaultdict(int)
        for worker in here:
            states[worker.state] += 1
        found.append(
            FleetSeen(
                name=fleet.name,
                state=fleet.state,
                workers=dict(states),
                cpus=sum(worker.cpus for worker in here if worker.state == "ready"),
                busy_cpus=sum(worker.busy_cpus for worker in here),
                cost_per_hour=round(sum(w.cost_per_hour for w in here if w.started_at is not None), 6),
                cost_today=round(spent_by_now(session, fleet.name, now)[0], 6),
                currency=stored_spec(fleet).budget.currency,
            )
        )
    return tuple(found)
