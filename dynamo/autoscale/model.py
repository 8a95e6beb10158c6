"""Data model of scaling: work and its deadlines, ready and booting workers, groups that can grow, decisions.

Plain data, independent of clock, store and cloud: policies are pure functions of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dynamo.provision.deciding.lifecycle import COMING, WorkerState


@dataclass(frozen=True)
class Work:
    """An amount of work of one kind that arrives together.

    Attributes
    ----------
    source
        Who reports it: ``queue``, ``runs`` or ``forecast``.
    label
        Human-readable name: a workflow, a trigger, a feed.
    ready_at
        When it can start: now for waiting work, the arrival's time for expected work.
    due_at
        When its products are due; None if it has no deadline (existing workers do it).
    core_s
        Core-seconds expected.
    core_s_high
        90th percentile of the core-seconds; at least ``core_s``.
    cores
        How many cores it can use at once.
    cores_each, memory_mb_each, disk_mb_each
        What one job needs on a worker.
    site
        The site it must run at, as ``Cloud:Region``; empty for any.
    priority
        Higher is more urgent if not everything can be done.
    """

    source: str
    label: str
    ready_at: datetime
    due_at: datetime | None
    core_s: float
    core_s_high: float
    cores: int = 1
    cores_each: int = 1
    memory_mb_each: int = 0
    site: str = ""
    priority: int = 0
    disk_mb_each: int = 0


@dataclass(frozen=True)
class Demand:
    """All known and expected work, from all sources.

    Attributes
    ----------
    horizon_s
        How far the forecast looks.
    missing
        Sources that could not report, each with its reason: a silent source is not zero demand.
    notes
        Remarks of the sources, such as a feed that went silent: ``source subject`` to a sentence.
    """

    taken_at: datetime
    work: tuple[Work, ...]
    horizon_s: float = 3600.0
    missing: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    def by_source(self) -> dict[str, float]:
        """Return core-seconds by source."""
        sums: dict[str, float] = {}
        for item in self.work:
            sums[item.source] = sums.get(item.source, 0.0) + item.core_s
        return sums


@dataclass(frozen=True)
class Capacity:
    """One worker as policies see it.

    Attributes
    ----------
    ready_at
        When it is ready: in the past for a ready worker, expected for a booting one.
    paid_until
        Until when it is paid for in any case; None if billed by the second.
    """

    worker: str
    group: str
    state: WorkerState
    cpus: int
    busy_cpus: int
    ready_at: datetime
    paid_until: datetime | None = None
    lease_end: datetime | None = None

    @property
    def coming(self) -> bool:
        """Whether it is not ready yet."""
        return self.state in COMING


@dataclass(frozen=True)
class BootTimes:
    """Time from requesting a worker until it is ready, seconds."""

    median_s: float
    p90_s: float
    observations: int = 0


@dataclass(frozen=True)
class GroupOption:
    """One group of the spec that can grow or shrink.

    Attributes
    ----------
    least, most
        Minimum and maximum that spec, quota and caps allow now.
    cpus, memory_mb
        Of one worker.
    cost_per_hour
        Of one worker.
    billing_s
        Billing increment: 1 for by the second, 3600 for by the hour.
    failure_rate
        The share of its workers that never became ready, 0 to 1.
    open
        Whether the site accepts new workers now.
    bandwidth_mbit
        Between the feeds and the site; None if unknown.
    weight
        The operator's preference, 1 for neutral.
    """

    group: str
    site: str
    least: int
    most: int
    cpus: int
    cost_per_hour: float
    boot: BootTimes
    memory_mb: int = 0
    billing_s: float = 1.0
    failure_rate: float = 0.0
    open: bool = True
    bandwidth_mbit: float | None = None
    weight: float = 1.0
    drain_deadline_s: float = 3600.0


@dataclass(frozen=True)
class FleetView:
    """The existing workers, and the groups that can change.

    Attributes
    ----------
    affordable_per_hour
        How much the fleet's cost per hour may rise; None without a budget.
    """

    workers: tuple[Capacity, ...]
    groups: tuple[GroupOption, ...]
    affordable_per_hour: float | None = None

    def option(self, group: str) -> GroupOption:
        """Return a group by name."""
        return next(option for option in self.groups if option.group == group)

    def count(self, group: str) -> int:
        """Return the number of ready and booting workers of a group."""
        return sum(1 for worker in self.workers if worker.group == group)


@dataclass(frozen=True)
class Decision:
    """A policy's decision.

    Attributes
    ----------
    wanted
        Workers by group.
    reasons
        For each group that changes, the reason as a sentence, with its numbers.
    memory
        What the policy receives at its next call: its only state. JSON data.
    short_cores
        Cores needed beyond all that is available: more than 0 is overload.
    notes
        Remarks about no single group: work that fits nowhere, silent sources, shortages.
    """

    wanted: Mapping[str, int]
    reasons: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    short_cores: float = 0.0
    notes: tuple[str, ...] = ()


class Policy(Protocol):
    """Decides how many workers each group should have: a pure function."""

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return the decision for now.

        Parameters
        ----------
        now, demand, fleet
            What is known.
        memory
            The last decision's memory; empty at first and after a change of policy.
        """
        ...
