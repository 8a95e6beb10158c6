"""Scaling decisions in the store, with reasons and inputs, and the current state of the loop."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.autoscale.model import Demand, FleetView, Work
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.store.models import Cursor
from dynamo.store.models import RunDecision as StoredDecision
from dynamo.times import parse_time, to_iso

#: Action names: a change of the requested number; a trace of the inputs without a change.
SCALE, INPUTS = "scale", "inputs"
_MOST_KINDS = 200


@dataclass(frozen=True)
class Change:
    """A new number of workers for one group."""

    group: str
    site: str
    before: int
    after: int
    reason: str

    @property
    def sentence(self) -> str:
        """The change in words, such as ``+3 at Jetstream2:IU: ...``."""
        reason = self.reason or "no reason given by the policy"
        if reason[:1] in "+-" and self.site in reason:
            # The policy's reason is already a whole sentence.
            return reason
        return f"{self.after - self.before:+d} at {self.site} ({self.group}): {reason}"


@dataclass(frozen=True)
class LoopState:
    """State of a fleet's loop: its policy's memory, and its latest iteration.

    Attributes
    ----------
    demand_core_s, demand_high_core_s
        By source.
    missing, notes
        Of the sources.
    """

    policy: str
    memory: Mapping[str, Any] = field(default_factory=dict)
    looked_at: datetime | None = None
    traced_at: datetime | None = None
    demand_core_s: Mapping[str, float] = field(default_factory=dict)
    demand_high_core_s: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    wanted: Mapping[str, int] = field(default_factory=dict)


def subject(fleet: str) -> str:
    """Return the subject under which decisions about a fleet are stored."""
    return f"fleet:{fleet}"


def store_decision(
    session: Session,
    fleet: str,
    changes: Sequence[Change],
    now: datetime,
    *,
    policy: str,
    inputs: Mapping[str, Any],
) -> None:
    """Store the changes with their inputs, or only the inputs if nothing changes."""
    reason = "; ".join(change.sentence for change in changes) or "no change"
    data = {"policy": policy, "changes": [asdict(change) for change in changes], "inputs": dict(inputs)}
    action = SCALE if changes else INPUTS
    session.add(StoredDecision(time=now, subject=subject(fleet), action=action, reason=reason, data=data))


def stored_decisions(session: Session, fleet: str, *, since: datetime | None = None, limit: int = 100) -> Sequence[Any]:
    """Return the newest decisions that changed something, in time order."""
    statement = select(StoredDecision).where(StoredDecision.subject == subject(fleet), StoredDecision.action == SCALE)
    if since is not None:
        statement = statement.where(StoredDecision.time >= since)
    return list(reversed(session.scalars(statement.order_by(StoredDecision.id.desc()).limit(limit)).all()))


def read_state(session: Session, fleet: str) -> LoopState | None:
    """Return the state of a fleet's loop; None if it never ran."""
    row = session.get(Cursor, _cursor(fleet))
    if row is None:
        return None
    data = dict(row.data)
    for name in ("looked_at", "traced_at"):
        data[name] = parse_time(data[name]) if data.get(name) else None
    return LoopState(**data)


def write_state(session: Session, fleet: str, state: LoopState, now: datetime) -> None:
    """Store the state of the loop."""
    data = asdict(state)
    for name in ("looked_at", "traced_at"):
        data[name] = to_iso(data[name]) if data[name] is not None else None
    session.merge(Cursor(name=_cursor(fleet), data=data, updated_at=now))


def inputs_json(demand: Demand, view: FleetView, held: Mapping[str, str]) -> dict[str, Any]:
    """Return a decision's inputs as JSON data, with similar work merged: enough to replay a day of decisions."""
    return {
        "taken_at": to_iso(demand.taken_at),
        "horizon_s": demand.horizon_s,
        "missing": dict(demand.missing),
        "notes": dict(demand.notes),
        "work": _work_json(demand.work),
        "groups": [
            {
                "group": option.group,
                "least": option.least,
                "most": option.most,
                "open": option.open,
                "boot_median_s": round(option.boot.median_s, 1),
                "boot_p90_s": round(option.boot.p90_s, 1),
                "failure_rate": round(option.failure_rate, 3),
                "cost_per_hour": option.cost_per_hour,
                "ready": _count(view, option.group, ready=True),
                "coming": _count(view, option.group, ready=False),
                "busy_cpus": sum(worker.busy_cpus for worker in view.workers if worker.group == option.group),
            }
            for option in view.groups
        ],
        "affordable_per_hour": view.affordable_per_hour,
        "held": dict(held),
    }


def _count(view: FleetView, group: str, *, ready: bool) -> int:
    return sum(1 for one in view.workers if one.group == group and (one.state is WorkerState.READY) == ready)


def _work_json(work: Sequence[Work]) -> list[dict[str, Any]]:
    """Return the work by source, label and due minute."""
    kinds: dict[tuple[str, str, str], list[Work]] = defaultdict(list)
    for item in work:
        due = "" if item.due_at is None else f"{item.due_at:%Y-%m-%dT%H:%M}Z"
        kinds[item.source, item.label, due].append(item)
    rows: list[dict[str, Any]] = [
        {
            "source": source,
            "label": label,
            "due": due,
            "count": len(items),
            "core_s": round(sum(item.core_s for item in items), 2),
            "core_s_high": round(sum(item.core_s_high for item in items), 2),
            "cores": sum(item.cores for item in items),
            "priority": max(item.priority for item in items),
            "ready": to_iso(min(item.ready_at for item in items)),
        }
        for (source, label, due), items in sorted(kinds.items())
    ]
    if len(rows) <= _MOST_KINDS:
        return rows
    # The rest is summed up: a decision is a record, not an archive.
    rest = rows[_MOST_KINDS:]
    return [
        *rows[:_MOST_KINDS],
        {"source": "", "label": f"{len(rest)} more kinds", "core_s": round(sum(row["core_s"] for row in rest), 2)},
    ]


def _cursor(fleet: str) -> str:
    return f"autoscale:{fleet}"
