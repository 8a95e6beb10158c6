"""The words of scaling: work and when it is due, workers that are there or coming, groups that can grow, decisions.

Plain data without clock, store or cloud: policies are pure functions of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dynamo.provision.deciding.lifecycle import COMING, WorkerState


@dataclass(frozen=True)
class Work:
    """An amount of work of one kind that comes together.

    Attributes
    ----------
    source
        Who says so: ``queue``, ``runs`` or ``forecast``.
    label
        What it is, for people: a workflow, a trigger, a feed.
    ready_at
        When it can begin: now for what waits, the arrival's time for what is expected.
    due_at
        When its products are due; None where nobody waits for it (it is done with what is there).
    core_s
        Core-seconds expected.
    core_s_high
        Core-seconds that it will not exceed nine times out of ten; at least ``core_s``.
    cores
        How many cores it can use at once.
    cores_each, memory_mb_each, disk_mb_each
        What one job of it needs of a worker.
    site
        The site that it must run at, as ``Cloud:Region``; empty for any.
    priority
        Higher is more urgent where not everything can be done.
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
    """All work that is known or expected, from all sources.

    Attributes
    ----------
    horizon_s
        How far the forecast looks.
    missing
        Sources that could not say anything, each with its reason: a silent source is no demand of zero.
    notes
        What sources remark on what they said, as a feed that has fallen silent: ``source subject`` to a sentence.
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
        When it serves: in the past for one that is ready, expected for one that is coming.
    paid_until
        Until when it is paid for whatever happens; None where every second is billed.
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
        """Whether it does not serve yet."""
        return self.state in COMING


@dataclass(frozen=True)
class BootTimes:
    """How long it takes from the wish for a worker until it serves, seconds."""

    median_s: float
    p90_s: float
    observations: int = 0


@dataclass(frozen=True)
class GroupOption:
    """One group of the spec that can grow or shrink.

    Attributes
    ----------
    least, most
        What spec, quota and caps allow now.
    cpus, memory_mb
        Of one worker.
    cost_per_hour
        Of one worker.
    billing_s
        The span for which a worker is paid at once: 1 for by the second, 3600 by the hour.
    failure_rate
        The share of its workers that never came to serve, 0 to 1.
    open
        Whether the site may be asked for new workers now.
    bandwidth_mbit
        Between the feeds and the site; None if it is not known to matter.
    weight
        The operator's liking, 1 for neutral.
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
    """The workers there are, and the groups that can change.

    Attributes
    ----------
    affordable_per_hour
        By how much the fleet's cost per hour may rise; None without a budget.
    """

    workers: tuple[Capacity, ...]
    groups: tuple[GroupOption, ...]
    affordable_per_hour: float | None = None

    def option(self, group: str) -> GroupOption:
        """Return a group by its name."""
        return next(option for option in self.groups if option.group == group)

    def count(self, group: str) -> int:
        """Return how many workers a group has that serve or come."""
        return sum(1 for worker in self.workers if worker.group == group)


@dataclass(frozen=True)
class Decision:
    """What a policy wants.

    Attributes
    ----------
    wanted
        Workers by group.
    reasons
        By group whose number changes, the sentence that says why, with its numbers.
    memory
        What the policy wants to be told at its next call: the only state that it has. JSON data.
    short_cores
        Cores that would be needed beyond all that can be had: more than 0 is overload.
    notes
        What concerns no single group: work that fits nowhere, sources that are silent, what is short.
    """

    wanted: Mapping[str, int]
    reasons: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    short_cores: float = 0.0
    notes: tuple[str, ...] = ()


class Policy(Protocol):
    """Decides how many workers each group should have: a pure function."""

    def decide(self, now: datetime, demand: Demand, fleet: FleetView, memory: Mapping[str, Any]) -> Decision:
        """Return what is wanted now.

        Parameters
        ----------
        now, demand, fleet
            What is known.
        memory
            What the last decision left; empty at first, or after the policy was changed.
        """
        ...
