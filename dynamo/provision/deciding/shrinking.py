"""Which surplus workers to remove, and how: those with jobs are drained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from dynamo.provision.deciding.balance import RemovalCandidate, victims
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.lifecycle import SERVING, PoolPresence, WorkerState
from dynamo.provision.deciding.live import Live, Move, move
from dynamo.provision.deciding.removals import Removals

_S = WorkerState


def shrink(
    lives: Sequence[Live],
    plans: Mapping[str, GroupPlan],
    surplus: Mapping[str, int],
    removals: Removals,
    *,
    deadline_s: float,
    now: datetime,
) -> list[Move]:
    """Remove surplus workers.

    An operator's order takes effect at once; the autoscaler's is limited to the share that may be removed at once.

    Parameters
    ----------
    surplus
        By group, the number of surplus workers; includes groups no longer in the spec.
    deadline_s
        Time limit for their jobs to finish.
    """
    moves: list[Move] = []
    by_group: dict[str, list[Live]] = {}
    for live in lives:
        if live.state in SERVING:
            by_group.setdefault(live.row.group, []).append(live)
    for group, count in surplus.items():
        plan = plans.get(group)
        if count <= 0 or (plan is not None and not plan.certain):
            continue
        commanded = plan is None or plan.source != "autoscaler"
        by_name = {live.row.name: live for live in by_group.get(group, [])}
        why = plan.why if plan is not None else "the group is no longer in the spec"
        for candidate in victims((_candidate(live) for live in by_name.values()), count):
            if not commanded and not removals.take(len(lives), now):
                break
            moves.append(let_go(by_name[candidate.name], f"no longer needed: {why}", deadline_s, now))
    return moves


def let_go(live: Live, reason: str, deadline_s: float, now: datetime) -> Move:
    """Remove a serving worker: drain it if it is or may be in the pool, else delete it at once."""
    if live.state is _S.READY:
        return drain(live, reason, deadline_s, now)
    if not live.row.server_id and not live.row.unsure:
        return move(live, _S.RELEASED, reason)
    if live.sight.pool is PoolPresence.UNKNOWN:
        # It may have joined while the pool was silent, and have jobs.
        return drain(live, reason, deadline_s, now)
    return move(live, _S.RELEASING, reason)


def drain(live: Live, reason: str, deadline_s: float, now: datetime, data: Mapping[str, object] | None = None) -> Move:
    """Drain a ready worker: it finishes its jobs and is then removed; ``data`` is added to the event."""
    values = {"drain_at": now, "drain_deadline": now + timedelta(seconds=deadline_s)}
    return move(live, _S.DRAINING, reason, values, {"deadline_s": deadline_s, **(data or {})})


def _candidate(live: Live) -> RemovalCandidate:
    busy = live.sight.slots.busy_cpus if live.sight.slots else live.row.busy_cpus
    return RemovalCandidate(live.row.name, live.state, busy, live.row.requested_at, live.row.lease_end)
