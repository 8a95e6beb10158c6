"""A simulated fleet with an autoscaler on one clock, sources that say what a test wants, for tests of the loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from dynamo.autoscale.loop import Autoscaler
from dynamo.autoscale.model import Policy, Work
from dynamo.autoscale.policies.registry import make_policy
from dynamo.config.autoscale import AutoscaleSection
from dynamo.store.models import RunDecision
from tests.unit.provision.fleet_world import World, spec_of

SITE = "Cloud:one"
QUICK: Mapping[str, Any] = {"settle_s": 30.0, "lead_s": 10.0, "overhead_s": 0.0, "bin_s": 5.0, "surprise_s": 0.0}


class Told:
    """A source of demand that says what it is told to."""

    def __init__(self, name: str = "runs") -> None:
        self.name = name
        self.amount: list[Work] = []
        self.error: BaseException | None = None

    def work(self, now: datetime, horizon_s: float) -> Sequence[Work]:  # noqa: ARG002 - the interface
        if self.error is not None:
            raise self.error
        return self.amount


def work(now: datetime, core_s: float, due_in_s: float | None, *, priority: int = 0, cores: int = 100) -> Work:
    """Return work that can begin now."""
    due = None if due_in_s is None else now + timedelta(seconds=due_in_s)
    return Work("runs", "storms", now, due, core_s, core_s, cores=cores, priority=priority)


class ScaledWorld(World):
    """A `World` of one site and group whose fleet an autoscaler scales."""

    def __init__(self, folder: Path, *, most: int = 10, settings: Mapping[str, Any] | None = None) -> None:
        group = {"name": "worker", "site": SITE, "count": 0, "min": 0, "max": most, "workerCpus": 1}
        super().__init__(folder, spec_of({SITE: {}}, [group], policy={"cycle_s": 5}))
        self.settings = AutoscaleSection(enabled=True, **{"options": QUICK, **(settings or {})})
        self.source = Told()
        self.scaler = self.new_scaler()

    def new_scaler(self, policy: Policy | None = None) -> Autoscaler:
        """Return another autoscaler for the same store, as after a restart."""
        chosen = policy or make_policy(self.settings.policy, self.settings.options)
        return Autoscaler(self.store, "fleet", chosen, [self.source], self.settings, clock=self.clock.now)

    def live(self, seconds: float, step_s: float = 10.0) -> None:
        """Let both loops run for so long."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.scaler.look()
            self.loop.cycle()
            self.clock.advance(step_s)

    def decisions(self, action: str = "scale") -> list[RunDecision]:
        """Return the stored decisions."""
        with self.store.reading() as session:
            return list(
                session.scalars(select(RunDecision).where(RunDecision.action == action).order_by(RunDecision.id))
            )
