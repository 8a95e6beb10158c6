"""Demand against capacity over time, from the autoscaler's records and the workers there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from dynamo.api.live.models import LoadPoint, LoadShown
from dynamo.autoscale.decisions import INPUTS, SCALE, subject
from dynamo.autoscale.demand.bands import BIN_S
from dynamo.provision.states import ENDED
from dynamo.store.fleets import Fleet, Worker
from dynamo.store.models import RunDecision
from dynamo.times import parse_time

_PAST = timedelta(hours=6)
_BIN = timedelta(seconds=BIN_S)


def read_load(session: Session, now: datetime) -> LoadShown:
    """Return demand and capacity of all living fleets: of the last hours, and as expected."""
    fleets = session.scalars(select(Fleet.name).where(Fleet.state != ENDED)).all()
    workers = _workers(session, fleets, now - _PAST)
    past: dict[datetime, float] = {}
    ahead: Counter[datetime] = Counter()
    reasons = []
    for fleet in fleets:
        about = (RunDecision.subject == subject(fleet), RunDecision.action.in_((SCALE, INPUTS)))
        query = select(RunDecision).where(*about, RunDecision.time >= now - _PAST).order_by(RunDecision.id)
        found = session.scalars(query).all()
        # Of each bin the last record; several fleets add up.
        for at, demand in {_bin(item.time): _cores(item.data) for item in found}.items():
            past[at] = past.get(at, 0.0) + demand
        if found:
            ahead.update(_ahead(found[-1].data, now))
            reasons.append(f"{fleet}: {found[-1].reason}")
    points = [
        LoadPoint(at=at, demand_cores=round(past[at], 3), capacity_cores=_capacity(workers, at), kind="past")
        for at in sorted(past)
    ]
    points += [
        LoadPoint(at=at, demand_cores=round(core_s / BIN_S, 3), capacity_cores=None, kind="forecast")
        for at, core_s in sorted(ahead.items())
    ]
    return LoadShown(now=now, points=points, sentence="; ".join(reasons) or "no fleet is scaled by load")


def _workers(session: Session, fleets: Sequence[str], since: datetime) -> Sequence[tuple[Any, ...]]:
    there = or_(Worker.ended_at.is_(None), Worker.ended_at >= since)
    query = select(Worker.ready_at, Worker.ended_at, Worker.cpus)
    return [
        tuple(row)
        for row in session.execute(query.where(Worker.fleet.in_(fleets), Worker.ready_at.is_not(None), there))
    ]


def _capacity(workers: Sequence[tuple[Any, ...]], at: datetime) -> float:
    end = at + _BIN
    return float(sum(cpus for ready, ended, cpus in workers if ready < end and (ended is None or ended >= at)))


def _cores(data: Mapping[str, Any]) -> float:
    inputs = data.get("inputs", {})
    work = sum(float(item.get("core_s", 0.0)) for item in inputs.get("work", ()))
    return work / float(inputs.get("horizon_s") or 3600.0)


def _ahead(data: Mapping[str, Any], now: datetime) -> Counter[datetime]:
    """Return the core-seconds that become ready in each bin from now on; what waits already, in the first one."""
    found: Counter[datetime] = Counter()
    for item in data.get("inputs", {}).get("work", ()):
        ready = parse_time(item["ready"]) if item.get("ready") else now
        found[_bin(max(ready, now))] += item.get("core_s", 0.0)
    return found


def _bin(time: datetime) -> datetime:
    return time - timedelta(seconds=time.timestamp() % BIN_S)
