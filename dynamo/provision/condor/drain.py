"""Drain a worker: running jobs finish until a deadline, no new ones start."""

from __future__ import annotations

import time

from dynamo.errors import NotFoundError
from dynamo.pool.manager import WORKER_DOMAIN
from dynamo.provision.condor.memory import Memory
from dynamo.provision.condor.tools import Tools
from dynamo.provision.pool_link import PoolSilentError, PoolView

_ALREADY = "already in progress"
_UNKNOWN = ("t find", "unable to locate", "no such")


def drain(tools: Tools, memory: Memory, worker: str, deadline_s: float) -> None:
    """Drain a worker; a second call changes the deadline, and 0 s kills the jobs now.

    Raises
    ------
    NotFoundError
        If the collector does not know the worker.
    PoolSilentError
        If the pool or worker does not answer.
    """
    memory.put(memory.get(worker).but(drain_until=time.time() + max(0.0, deadline_s)))
    if deadline_s <= 0:
        hurry(tools, worker)
    else:
        _order(tools, worker, "-graceful", "-reason", "the fleet shrinks")


def hurry_overdue(tools: Tools, memory: Memory, view: PoolView) -> list[str]:
    """Kill the jobs of workers not empty at their deadline; return those workers."""
    overdue = []
    now = time.time()
    for slots in view.workers.values():
        if not slots.draining or slots.drained:
            continue
        note = memory.get(slots.worker)
        if 0 < note.drain_until < now:
            hurry(tools, slots.worker)
            # Not again on every call: stopping a job takes a while.
            memory.put(note.but(drain_until=now + 30))
            overdue.append(slots.worker)
    return overdue


def free_claims(tools: Tools, view: PoolView, idle_claim_s: float) -> list[str]:
    """Free processors that have been claimed for ``idle_claim_s`` without a job while jobs wait; return the workers.

    Queue and worker can disagree about a claim, for instance after the collector was killed while one was made; such a
    processor would stay idle until the claim expires.
    """
    if not view.idle_cpus:
        return []
    freed = []
    for slots in view.workers.values():
        if slots.draining or slots.idle_claim_s < idle_claim_s:
            continue
        # A drain gives up claims without a job; those with one go on, since it is canceled before they end.
        _order(tools, slots.worker, "-graceful", "-reason", "a claim without a job")
        _order(tools, slots.worker, "-cancel")
        freed.append(slots.worker)
    return freed


def hurry(tools: Tools, worker: str) -> None:
    """Kill a worker's jobs now; they go back to the queue."""
    # A second drain does not change one in effect; canceling one that was never issued is not an error.
    _order(tools, worker, "-cancel")
    _order(tools, worker, "-fast", "-reason", "the deadline has passed")


def _order(tools: Tools, worker: str, *words: str) -> None:
    try:
        tools.run("condor_drain", *words, f"{worker}.{WORKER_DOMAIN}")
    except PoolSilentError as error:
        text = str(error).lower()
        if _ALREADY in text:
            return
        if any(sign in text for sign in _UNKNOWN):
            raise NotFoundError("the pool does not know this worker", where=worker) from None
        raise
