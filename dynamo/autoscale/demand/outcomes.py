"""The record of forecasts in the store: what was predicted for each trigger, and what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from dynamo.autoscale.demand.arrived import ArrivalMemory
from dynamo.autoscale.demand.bands import BIN_S, Track, track_from_json
from dynamo.autoscale.demand.costing import RunCosts, occupied
from dynamo.inspection.facts import facts_from_json
from dynamo.store.engine import Store
from dynamo.store.inserts import insert_new
from dynamo.store.models import Arrival, Cursor, Run
from dynamo.triggers.rules import Rule

_PREFIX = "demand forecast "
#: Longest delay between a file's close and the creation of its run, after a daemon was down.
_LATEST = timedelta(hours=1)


def load(session: Session, triggers: Sequence[str]) -> dict[str, Track]:
    """Return the tracks of triggers."""
    names = [_PREFIX + trigger for trigger in triggers]
    rows = session.execute(select(Cursor.name, Cursor.data).where(Cursor.name.in_(names)))
    found = {name.removeprefix(_PREFIX): track_from_json(data) for name, data in rows}
    return {trigger: found.get(trigger) or Track() for trigger in triggers}


def save(store: Store, tracks: Mapping[str, Track], now: datetime) -> None:
    """Save the tracks; raise `StoreUnavailableError`."""
    with store.transaction() as session:
        for trigger, track in tracks.items():
            name, data = _PREFIX + trigger, track.to_json()
            if not insert_new(session, Cursor, name=name, data=data, updated_at=now):
                cursor = session.get_one(Cursor, name)
                cursor.data, cursor.updated_at = data, now


def learn(
    session: Session,
    track: Track,
    rule: Rule,
    loads: Mapping[int, float],
    memory: ArrivalMemory,
    costs: RunCosts,
    now: datetime,
    horizon_s: float,
) -> bool:
    """Judge a trigger's past predictions and add the current ones; return whether the track changed.

    Parameters
    ----------
    session, memory, costs
        The store, the arrivals, and the cost of runs.
    track, rule
        The trigger's; the track is modified.
    loads
        Core-seconds as predicted now, by start of the bin.
    now, horizon_s
        The caller's clock, and how far the prediction reaches.
    """

    def actual(begin: datetime, end: datetime) -> float | None:
        if not _feed_was_there(rule, memory, begin, end):
            return None
        return load_between(session, rule, costs, begin, end)

    settled = track.settle(now, actual)
    return track.expect(now, loads, horizon_s) or settled


def load_between(session: Session, rule: Rule, costs: RunCosts, begin: datetime, end: datetime) -> float:
    """Return the core-seconds of a trigger's runs whose files arrived in ``[begin, end)``.

    Skipped runs count at what they would have cost: they were demanded.
    """
    came = func.coalesce(Run.closed_at, Run.created_at)
    rows = session.execute(
        select(Run.predicted_s, Run.cpu_s, Run.jobs_total, Run.state, Run.engine, Run.arrival_id, Arrival.facts)
        .outerjoin(Arrival, Arrival.id == Run.arrival_id)
        .where(
            Run.trigger == rule.name,
            Run.created_at >= begin,
            Run.created_at < end + _LATEST,
            came >= begin,
            came < end,
        )
    )
    total = 0.0
    for predicted_s, cpu_s, jobs, state, engine, arrival, facts in rows:
        seconds = cpu_s if state == "succeeded" and cpu_s > 0 else max(predicted_s, cpu_s)
        if seconds > 0:
            total += occupied(seconds, jobs, costs.layout(engine))[0]
        elif facts is not None:
            known = {rule.port: facts_from_json(facts)}
            cost = costs.cost(rule.workflow, rule.parameters, known, engine, known_as=("arrival", arrival))
            total += 0.0 if cost is None else cost.core_s
    return total


def _feed_was_there(rule: Rule, memory: ArrivalMemory, begin: datetime, end: datetime) -> bool:
    """Whether the feed delivered what it should: while it is down, nothing is learned about the weather."""
    feed = rule.trigger.witness
    if feed is None:
        return True
    if memory.came_between(feed, begin, end):
        return True
    slowest = max((one.cadence.interval_s for one in memory.streams(feed) if one.cadence is not None), default=0.0)
    return slowest > BIN_S / 2
