"""Drain workers on which jobs fail fast, with a brake: jobs that fail everywhere must not use up healthy workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from dynamo.provision import ledger
from dynamo.provision.cycle.bookkeeping import FATES_KEPT
from dynamo.provision.deciding.black_holes import FastFailures
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.lifecycle import WorkerState
from dynamo.provision.deciding.live import Live, Move
from dynamo.provision.deciding.removals import Removals
from dynamo.provision.deciding.shrinking import drain
from dynamo.provision.spec.fleet import FleetSpec

#: In the event of a worker that was drained for this: what the brake counts after a restart.
_MARK = "black_hole"
_NAMES_SHOWN = 4


@dataclass
class HoleVerdict:
    """What follows from jobs that fail fast: workers to drain, and what is held back, by subject."""

    moves: list[Move] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)


class HoleDrainer:
    """Drains black holes, in all no more than a share of the fleet within `FATES_KEPT`.

    Parameters
    ----------
    spec
        The fleet's spec.
    earlier
        When workers were drained for this before this process started.
    """

    def __init__(self, spec: FleetSpec, earlier: Sequence[datetime]) -> None:
        self._rule = spec.policy.black_hole
        self._deadline_s = spec.policy.drain_deadline_s
        self._brake = Removals(spec.policy.max_removal_share, FATES_KEPT.total_seconds(), earlier)

    @classmethod
    def of(cls, session: Session, fleet: str, spec: FleetSpec, now: datetime) -> HoleDrainer:
        """Return one that counts what an earlier process drained."""
        drained = ledger.events(session, fleet, action=WorkerState.DRAINING.value, since=now - FATES_KEPT)
        return cls(spec, [event.time for event in drained if event.data.get(_MARK)])

    def judge(
        self, lives: Sequence[Live], failures: FastFailures, removals: Removals, health: HealthBook, now: datetime
    ) -> HoleVerdict:
        """Drain black holes as far as the brake allows; say what is at fault otherwise."""
        result = HoleVerdict()
        by_name = {live.row.name: live for live in lives}
        rule = self._rule
        spared = []
        for name in failures.holes:
            live = by_name[name]
            if not self._brake.left(len(lives), now):
                spared.append(name)
            elif removals.take(len(lives), now) and self._brake.take(len(lives), now):
                why = (
                    f"jobs fail fast there: at least {rule.share:.0%} of its last {rule.jobs} within {rule.seconds:g} s"
                )
                result.moves.append(drain(live, why, self._deadline_s, now, {_MARK: True}))
                health.failure(live.row.site, "retryable", f"{name}: {why}")
        if spared:
            minutes = FATES_KEPT.total_seconds() / 60
            result.held["black holes"] = (
                f"jobs fail fast on {_some(spared)}, but as many workers as may go were replaced for that in the last "
                f"{minutes:.0f} min; if they are broken, use `dynamo-provision drain`"
            )
        for kind, workers in failures.faulty.items():
            result.held[f"jobs {kind}".strip()] = (
                f"they fail within {rule.seconds:g} s on every worker that runs them ({_some(workers)}), so no worker "
                "is replaced for it: check the jobs"
            )
        return result


def _some(names: Sequence[Any]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join([*names[:_NAMES_SHOWN], *([f"{more} more"] if more > 0 else [])])
