"""Fleets on simulated sites that are quick enough to be waited for, on the clock of life."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynamo.provision.fleets import apply_fleet
from dynamo.provision.keeping.attending import attend
from dynamo.provision.spec.loading import load_spec
from dynamo.store.engine import Store
from dynamo.times import utc_now

QUICK = {"boot": 0.05, "join": 0.05, "delete": 0.05}


def spec_of(name: str, count: int = 1, **group: Any) -> dict[str, Any]:
    return {
        "name": name,
        "sites": {"Sim:A": {"driver": "simulated", "options": QUICK}},
        "compute": [{"name": "a", "site": "Sim:A", "count": count, "max": 9, **group}],
        "policy": {"cycle_s": 0.2, "collector_grace_s": 0},
    }


def put(store: Store, folder: Path, spec: dict[str, Any]) -> None:
    with store.transaction() as session:
        # Unchecked options as a version that knows others may have stored them.
        apply_fleet(session, load_spec(spec, check_options=False), base=folder / spec["name"], now=utc_now())


def run_until_settled(store: Store, name: str = "one") -> None:
    attend(store, name, lambda glance: glance.settled, timeout_s=20)
