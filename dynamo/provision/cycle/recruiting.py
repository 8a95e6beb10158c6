"""New workers in the store: requested ones, adopted ones, and the mark before each create attempt."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dynamo.provision import ledger
from dynamo.provision.deciding.groups import GroupPlan
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.lifecycle import SitePresence, WorkerState
from dynamo.provision.deciding.live import Live
from dynamo.provision.deciding.sights import Foreign, Orphan, SiteIndex, sort_foreigners
from dynamo.provision.notes import FleetNote
from dynamo.provision.sites.base import GROUP_TAG, Flavor
from dynamo.provision.sites.runner import SiteRunner
from dynamo.store.engine import Store

_S = WorkerState


def worker_name(plan: GroupPlan, fleet_id: str, number: int) -> str:
    """Return a name no other worker has or will have, by which its server is found again."""
    prefix = (plan.spec.host_name_prefix or plan.name).lower()[:40].rstrip("-")
    return f"{prefix}-{fleet_id[:6]}-{number}"


def request_workers(
    session: Session,
    fleet: str,
    fleet_id: str,
    plans: Mapping[str, GroupPlan],
    add: Mapping[str, int],
    now: datetime,
) -> None:
    """Store new workers; they are requested from the sites in a later cycle, once this is committed."""
    total = sum(add.values())
    if not total:
        return
    number = ledger.take_numbers(session, fleet, total)
    rows: list[dict[str, Any]] = []
    notes = []
    for group, count in add.items():
        plan = plans[group]
        for _ in range(count):
            rows.append(
                {**_size(plan, plan.flavor), **_since(now, plan.why), "name": worker_name(plan, fleet_id, number)}
            )
            number += 1
        data = {"group": group, "count": count, "flavor": plan.flavor.name if plan.flavor else ""}
        notes.append(FleetNote("grow", f"+{count} workers: {plan.why}", plan.spec.site, data=data))
    ledger.add_workers(session, fleet, rows)
    ledger.note(session, fleet, notes, now)


def foreigners(
    store: Store,
    fleet: str,
    rows: Sequence[Any],
    indexes: Mapping[str, SiteIndex],
    plans: Mapping[str, GroupPlan],
    runners: Mapping[str, SiteRunner],
) -> tuple[list[Foreign], list[Orphan]]:
    """Return our servers without a living worker (``rows``): those to adopt, and those to delete."""
    adopted: list[Foreign] = []
    orphans: list[Orphan] = []
    for site, index in indexes.items():
        mine = [row for row in rows if row.site == site]
        found = index.foreigners(mine)
        if not found:
            continue
        with store.reading() as session:
            known = ledger.workers_named(session, fleet, {item.worker for item in found})
        groups = {name for name, plan in plans.items() if plan.spec.site == site}
        found = [item for item in found if not runners[site].is_under_way(f"create {item.worker}")]
        welcome, others = sort_foreigners(site, found, known, groups)
        adopted += welcome
        orphans += others
    return adopted, orphans


def adopt(
    session: Session, fleet: str, plans: Mapping[str, GroupPlan], found: Sequence[Foreign], now: datetime
) -> None:
    """Adopt our servers that the store does not know as workers of the group named in their tag."""
    for item in found:
        server = item.server
        plan = plans[server.tags[GROUP_TAG]]
        began = server.created_at or now
        values = {
            **_size(plan, plan.flavor),
            **_since(now, "found at the site"),
            "name": item.worker,
            "state": _S.BOOTING.value,
            "server_id": server.id,
            "started_at": began,
            "attempts": 1,
            "attempted_at": began,
        }
        ledger.add_workers(session, fleet, [values])
        number = item.worker.rpartition("-")[2]
        if number.isascii() and number.isdigit():
            ledger.skip_numbers(session, fleet, int(number))
        reason = f"server {server.id} is ours but was unknown"
        ledger.note(session, fleet, [FleetNote("adopted", reason, plan.spec.site, item.worker)], now)


def mark_attempts(
    session: Session,
    lives: Sequence[Live],
    plans: Mapping[str, GroupPlan],
    runners: Mapping[str, SiteRunner],
    health: HealthBook,
    now: datetime,
) -> list[Live]:
    """Choose the workers to create now and store each attempt, since an answer may be lost."""
    chosen: list[Live] = []
    # Calls in progress are probes too.
    probes: Counter[str] = Counter(
        live.row.site
        for live in lives
        if (live.row.site in runners and runners[live.row.site].is_under_way(f"create {live.row.name}"))
        or (live.state in (_S.BOOTING, _S.JOINING) and health.owes_worker(live.row.site))
    )
    for live in lives:
        if live.state not in (_S.REQUESTED, _S.BOOTING):
            continue
        row = live.row
        plan, runner = plans.get(row.group), runners.get(row.site)
        if plan is None or plan.flavor is None or runner is None:
            continue
        sight = live.sight
        going_on = live.state is _S.BOOTING and sight.server is not None and sight.server.unfinished
        due = live.state is _S.REQUESTED and (not row.unsure or sight.site is SitePresence.ABSENT)
        if not (going_on or due) or runner.is_under_way(f"create {row.name}"):
            continue
        fares = health.of(row.site)
        if not fares.closed(now) or (fares.probing and probes[row.site] >= 1):
            continue
        probes[row.site] += 1
        chosen.append(live)
    rows = [
        {"id": live.row.id, "attempts": live.row.attempts + 1, "attempted_at": now, "unsure": not live.row.server_id}
        for live in chosen
    ]
    ledger.set_many(session, ("attempts", "attempted_at", "unsure"), rows)
    return chosen


def _size(plan: GroupPlan, flavor: Flavor | None) -> dict[str, Any]:
    return {
        "site": plan.spec.site,
        "group": plan.name,
        "flavor": flavor.name if flavor else "",
        "cpus": flavor.cpus if flavor else 1,
        "ram_mb": flavor.ram_mb if flavor else 0,
        "cost_per_hour": plan.cost_per_hour,
    }


def _since(now: datetime, reason: str) -> dict[str, Any]:
    return {"reason": reason, "since": now, "requested_at": now}
