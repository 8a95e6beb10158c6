"""The life cycle of a worker: its states, the allowed transitions, and how observations lead to them.

`observe` makes the whole decision: a pure function of what the store, the site and the pool say. If one of them
is silent, nothing is concluded from that.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dynamo.provision.pool_link import WorkerSlots
from dynamo.provision.sites.base import Server, ServerStatus


class WorkerState(StrEnum):
    """The state of a worker."""

    #: Stored; the site may or may not have received the request.
    REQUESTED = "requested"
    #: The site is creating its server.
    BOOTING = "booting"
    #: Its server runs; HTCondor does not show it yet.
    JOINING = "joining"
    #: The collector shows it.
    READY = "ready"
    #: It finishes its jobs and takes no new ones.
    DRAINING = "draining"
    #: Its server is being deleted.
    RELEASING = "releasing"
    #: Its server is gone.
    RELEASED = "released"
    #: It does not work; its server is being deleted.
    FAILED = "failed"
    #: Its server disappeared, not deleted by us.
    LOST = "lost"


_S = WorkerState

#: Allowed transitions from each state.
TRANSITIONS: dict[WorkerState, frozenset[WorkerState]] = {
    # Draining before it is ready: it may have joined unseen and have jobs.
    _S.REQUESTED: frozenset({_S.BOOTING, _S.JOINING, _S.READY, _S.DRAINING, _S.FAILED, _S.RELEASING, _S.RELEASED}),
    _S.BOOTING: frozenset({_S.JOINING, _S.READY, _S.DRAINING, _S.FAILED, _S.LOST, _S.RELEASING}),
    _S.JOINING: frozenset({_S.READY, _S.DRAINING, _S.FAILED, _S.LOST, _S.RELEASING}),
    _S.READY: frozenset({_S.DRAINING, _S.FAILED, _S.LOST, _S.RELEASING}),
    _S.DRAINING: frozenset({_S.RELEASING, _S.FAILED, _S.LOST}),
    _S.RELEASING: frozenset({_S.RELEASED}),
    _S.FAILED: frozenset({_S.RELEASING, _S.RELEASED}),
    _S.LOST: frozenset(),
    _S.RELEASED: frozenset(),
}

#: Final states.
FINAL = frozenset({_S.RELEASED, _S.LOST})
#: Counts toward the requested number.
SERVING = frozenset({_S.REQUESTED, _S.BOOTING, _S.JOINING, _S.READY})
#: On its way to `READY`.
COMING = frozenset({_S.REQUESTED, _S.BOOTING, _S.JOINING})
#: On its way out; its server may still exist.
LEAVING = frozenset({_S.DRAINING, _S.RELEASING, _S.FAILED})
#: There may be a server, and it may cost money.
LIVING = SERVING | LEAVING


def sources(target: WorkerState) -> frozenset[WorkerState]:
    """Return the states from which a worker may move to ``target``."""
    return frozenset(state for state, targets in TRANSITIONS.items() if target in targets)


class SitePresence(StrEnum):
    """What the site's list says about one worker's server."""

    #: No list, or one started before the server was requested.
    UNKNOWN = "unknown"
    #: A complete, later list does not include it.
    ABSENT = "absent"
    PRESENT = "present"


class PoolPresence(StrEnum):
    """What the collector says about one worker."""

    #: The pool does not answer, or its collector has only just started.
    UNKNOWN = "unknown"
    ABSENT = "absent"
    PRESENT = "present"
    DRAINED = "drained"


@dataclass(frozen=True)
class Patience:
    """Time limits, in seconds."""

    boot_s: float = 900.0
    join_s: float = 300.0
    missing_s: float = 120.0
    #: How long a new server may be missing from lists, which lag behind.
    settle_s: float = 30.0


@dataclass(frozen=True)
class Sight:
    """Everything seen of one worker at one moment.

    Attributes
    ----------
    since
        When it entered its state.
    listed_at
        When the site's list that ``server`` comes from was started.
    seen_at
        When the collector last showed it.
    watched_since
        Since when the pool has been watched without a gap; absence before then means nothing.
    drain_deadline
        When it is removed, with or without jobs.
    """

    state: WorkerState
    since: datetime
    server: Server | None = None
    site: SitePresence = SitePresence.UNKNOWN
    listed_at: datetime | None = None
    slots: WorkerSlots | None = None
    pool: PoolPresence = PoolPresence.UNKNOWN
    seen_at: datetime | None = None
    watched_since: datetime | None = None
    drain_deadline: datetime | None = None
    has_server_id: bool = False


@dataclass(frozen=True)
class WorkerVerdict:
    """A state to move to, and why.

    ``blame`` says whether it counts against the site: a server that does not boot does, one that somebody deleted
    does not.
    """

    to: WorkerState
    reason: str
    blame: bool = False
    no_capacity: bool = False


def observe(sight: Sight, now: datetime, patience: Patience) -> WorkerVerdict | None:
    """Return the state a worker moves to, given what is seen of it; None if it stays.

    Requested removals (scaling, draining) are not decided here, and creations are not retried here.
    """
    if sight.state in FINAL:
        return None
    gone = sight.site is SitePresence.ABSENT
    shown = sight.pool in (PoolPresence.PRESENT, PoolPresence.DRAINED)
    if sight.state in (_S.RELEASING, _S.FAILED):
        if gone:
            return WorkerVerdict(_S.RELEASED, "the site no longer has its server")
        if sight.state is _S.FAILED:
            return WorkerVerdict(_S.RELEASING, "its server is being deleted")
        return None
    # A list can be wrong; running jobs are not.
    if gone and not shown and sight.has_server_id and sight.state is not _S.REQUESTED:
        return WorkerVerdict(_S.LOST, "its server is gone, but we did not delete it")
    if sight.site is SitePresence.PRESENT and sight.server is not None:
        bad = _bad_server(sight, sight.server)
        if bad is not None:
            return bad
    if sight.state is _S.DRAINING:
        return _drained(sight, now, patience)
    if shown:
        return None if sight.state is _S.READY else WorkerVerdict(_S.READY, "the collector shows it")
    if sight.state is _S.READY:
        return _missing(sight, now, patience)
    return _coming(sight, now, patience)


def _bad_server(sight: Sight, server: Server) -> WorkerVerdict | None:
    if server.status is ServerStatus.ERROR and not _may_run(sight):
        fault = server.fault or "no reason given"
        return WorkerVerdict(
            _S.FAILED, f"the site could not create it: {fault}", blame=True, no_capacity=server.no_capacity
        )
    if server.status in (ServerStatus.STOPPED, ServerStatus.DELETING):
        # Its dead-man switch triggered or its lease ran out; jobs cannot run on it.
        what = "was shut down" if server.status is ServerStatus.STOPPED else "is being deleted by someone else"
        return WorkerVerdict(_S.FAILED, f"its server {what}", blame=sight.state in COMING)
    return None


def _may_run(sight: Sight) -> bool:
    """Return whether jobs may run there, whatever the site says: a failed operation can mark a running server."""
    if sight.pool is PoolPresence.UNKNOWN:
        return sight.state in (_S.READY, _S.DRAINING)
    return sight.pool is not PoolPresence.ABSENT


def _drained(sight: Sight, now: datetime, patience: Patience) -> WorkerVerdict | None:
    if sight.pool is PoolPresence.DRAINED:
        return WorkerVerdict(_S.RELEASING, "its last job has finished")
    if sight.drain_deadline is not None and now >= sight.drain_deadline:
        left = len(sight.slots.jobs) if sight.slots else 0
        return WorkerVerdict(_S.RELEASING, f"the drain deadline has passed with {left} jobs still running")
    # Jobs may run on a worker that one view missed, but not on one that was never seen.
    unseen_s = _unseen_s(sight, now)
    if sight.pool is PoolPresence.ABSENT and (sight.seen_at is None or unseen_s > patience.missing_s):
        return WorkerVerdict(_S.RELEASING, "it has left the pool")
    return None


def _unseen_s(sight: Sight, now: datetime) -> float:
    """Return how long the worker has been watched for and not seen since it entered its state."""
    moments = (sight.seen_at, sight.since, sight.watched_since)
    return (now - max(moment for moment in moments if moment is not None)).total_seconds()


def _missing(sight: Sight, now: datetime, patience: Patience) -> WorkerVerdict | None:
    if sight.pool is PoolPresence.UNKNOWN:
        return None
    unseen_s = _unseen_s(sight, now)
    if unseen_s <= patience.missing_s:
        return None
    return WorkerVerdict(_S.FAILED, f"missing from the collector for {unseen_s:.0f} s", blame=True)


def _coming(sight: Sight, now: datetime, patience: Patience) -> WorkerVerdict | None:
    if sight.state is _S.REQUESTED:
        if sight.site is not SitePresence.PRESENT or sight.server is None:
            return None
        to = _S.JOINING if sight.server.status is ServerStatus.ACTIVE else _S.BOOTING
        return WorkerVerdict(to, "the site created it, but its answer was lost")
    if sight.state is _S.BOOTING:
        if sight.server is not None and sight.server.status is ServerStatus.ACTIVE:
            return WorkerVerdict(_S.JOINING, "its server is running")
        # An old list does not tell how long it took.
        looked_s = (sight.listed_at - sight.since).total_seconds() if sight.listed_at is not None else 0.0
        if sight.server is not None and looked_s > patience.boot_s:
            return WorkerVerdict(_S.FAILED, f"its server is not running after {looked_s:.0f} s", blame=True)
        return None
    # A pool that does not answer can neither show it nor be joined: not the worker's fault.
    unseen_s = _unseen_s(sight, now)
    if sight.pool is PoolPresence.ABSENT and unseen_s > patience.join_s:
        return WorkerVerdict(
            _S.FAILED, f"it has not joined the pool {unseen_s:.0f} s after its server started", blame=True
        )
    return None
