"""Radar networks for the fleet simulator: radar positions, file intervals of each feed, and costs.

Costs have the form of the cost model (`dynamo.workflows.cost`): a constant per file plus a part that grows with the
echo. They are slot time on one core; the overhead before and after the payload (`OVERHEAD_S`) is added once per job.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import UsageError

Rule = Literal["radar", "domain", "always"]
NETWORKS = ("casa", "nexrad")
#: Slot time of a job besides its payload: claim, process start, handoff. Measured on a two-slot pool, which sustains
#: four CASA networks (89 jobs a minute) but not five.
OVERHEAD_S = 0.8
#: Minimum area at or above 45 dBZ for a radar's files to be processed, km2: that of trigger `precursor`.
PRECURSOR_KM2 = 2.0
#: How long a radar stays watched after its last precursor, s: that of trigger `precursor`.
HOLD_S = 600.0
#: Delay of nowcasts after their issue time, s.
NOWCAST_DELAY_S = 5.0
#: Minimum area at or above 45 dBZ for a nowcast to be processed, km2: that of the example configuration.
CONDITION_KM2 = 10.0

#: Largest share of its deadline that a job may take.
_TASK_SHARE = 0.25


@dataclass(frozen=True)
class SimulatedFeed:
    """One feed and the workflow its files start.

    Attributes
    ----------
    every_s
        Interval between files from one radar, or from the network.
    rule
        When a file starts a run: ``radar`` while its radar has a precursor, ``domain`` while the network's storms reach
        the condition's area, or ``always``.
    base_core_s, echo_core_s, full_km2
        Payload of one file: ``base + echo * min(1, area / full)``.
    tasks
        Number of one-core jobs per run.
    scan_s
        Files from one radar within this interval do not replace each other.
    priority, deadline_s
        As in the shipped workflow documents.
    """

    name: str
    workflow: str
    every_s: float
    rule: Rule
    base_core_s: float
    echo_core_s: float
    full_km2: float
    deadline_s: float = 60.0
    priority: int = 0
    tasks: int = 1
    scan_s: float = 0.0

    @property
    def per_radar(self) -> bool:
        """Whether each radar has its own files."""
        return self.rule == "radar"

    def payload_s(self, area_km2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the core-seconds of files, by echo area, km2."""
        cost: NDArray[np.float64] = self.base_core_s + self.echo_core_s * np.minimum(1.0, area_km2 / self.full_km2)
        return cost

    def slot_s(self, payload_s: float, overhead_s: float) -> float:
        """Return the total slot time of a run."""
        return payload_s + self.tasks * overhead_s


@dataclass(frozen=True, eq=False)
class Network:
    """Radars and feeds.

    Attributes
    ----------
    radars_km
        Positions, shape (radars, 2), km east and north of the corner of the domain.
    part
        Part of the network each radar belongs to, shape (radars,); each part has its own nowcasts.
    corners_km, size_km
        The parts' domains: southwest corners, shape (parts, 2), and the size of each.
    range_km
        Radar range.
    cpus
        CPUs of suitable workers.
    """

    name: str
    radars_km: NDArray[np.float64]
    part: NDArray[np.intp]
    corners_km: NDArray[np.float64]
    size_km: tuple[float, float]
    range_km: float
    feeds: tuple[SimulatedFeed, ...]
    cpus: int
    overhead_s: float = OVERHEAD_S

    @property
    def parts(self) -> int:
        """Number of domains."""
        return len(self.corners_km)

    def doubled(self) -> Network:
        """Return two such networks far apart, sharing one pool."""
        away = np.array([4.0 * self.size_km[0], 0.0])
        return replace(
            self,
            name=f"2 x {self.name}",
            radars_km=np.concatenate([self.radars_km, self.radars_km + away]),
            part=np.concatenate([self.part, self.part + self.parts]),
            corners_km=np.concatenate([self.corners_km, self.corners_km + away]),
        )

    def loaded(self, factor: float) -> Network:
        """Return the network with all payload costs multiplied: more products, finer grids, slower programs."""
        if factor == 1.0:
            return self
        feeds = tuple(_loaded(feed, factor) for feed in self.feeds)
        return replace(self, name=f"{self.name} (payload x {factor:g})", feeds=feeds)


def _loaded(feed: SimulatedFeed, factor: float) -> SimulatedFeed:
    base, echo = feed.base_core_s * factor, feed.echo_core_s * factor
    # Split work that would take most of its deadline on one core, as planning does.
    tasks = max(feed.tasks, math.ceil((base + echo) / (_TASK_SHARE * feed.deadline_s)))
    return replace(feed, base_core_s=base, echo_core_s=echo, tasks=tasks)


def casa() -> Network:
    """Return seven X-band radars like those of the Dallas/Fort Worth test bed: 4 sweeps and a nowcast a minute."""
    centre = np.array([110.0, 110.0])
    angle = np.linspace(0.0, 2 * np.pi, 6, endpoint=False)
    ring = centre + 42.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Network(
        name="casa",
        radars_km=np.concatenate([centre[None, :], ring]),
        part=np.zeros(7, dtype=np.intp),
        corners_km=np.zeros((1, 2)),
        size_km=(220.0, 220.0),
        range_km=40.0,
        cpus=1,
        # 31 x 201 x 201 at five levels and images: 0.1 to 0.26 s; a sweep to GeoJSON and image: 0.02 to 0.1 s.
        feeds=(
            SimulatedFeed("nowcasts", "nowcast", 60.0, "domain", 0.10, 0.16, 2000.0, priority=10),
            SimulatedFeed("sweeps", "hail", 15.0, "radar", 0.03, 0.07, 400.0, scan_s=60.0),
        ),
    )


def nexrad(seed: int = 88) -> Network:
    """Return 159 S-band radars across the conterminous United States, and a CONUS nowcast every two minutes.

    The positions are a jittered lattice, not the real ones: only distances and numbers matter here.
    """
    rng = np.random.default_rng(seed)
    wide, high = 4400.0, 2600.0
    columns, rows = 17, 10
    x, y = np.meshgrid((np.arange(columns) + 0.5) * wide / columns, (np.arange(rows) + 0.5) * high / rows)
    lattice = np.stack([x.ravel(), y.ravel()], axis=1) + rng.normal(0.0, 45.0, (columns * rows, 2))
    keep = np.sort(rng.permutation(columns * rows)[:159])
    return Network(
        name="nexrad",
        radars_km=lattice[keep],
        part=np.zeros(159, dtype=np.intp),
        corners_km=np.zeros((1, 2)),
        size_km=(wide, high),
        range_km=150.0,
        cpus=2,
        # A volume to products: 2.5 s (read, classify, MESH, grids). 31 x 3500 x 7000 at five levels: 40 s total.
        feeds=(
            SimulatedFeed("conus", "nowcast", 120.0, "always", 34.0, 8.0, 40_000.0, priority=10, tasks=4),
            SimulatedFeed("volumes", "hail", 300.0, "radar", 1.6, 1.4, 2500.0, scan_s=60.0),
        ),
    )


_MADE: dict[str, Callable[[], Network]] = {"casa": casa, "nexrad": nexrad}


def make_network(name: str, load: float = 1.0) -> Network:
    """Return a network by name.

    Parameters
    ----------
    load
        Multiplier for payload costs.

    Raises
    ------
    UsageError
        If the name is unknown, or the load is not positive.
    """
    if name not in _MADE:
        raise UsageError(f"unknown network {name!r}", where="--network", expected=", ".join(NETWORKS))
    if load <= 0:
        raise UsageError(f"a load of {load:g}", where="--load", expected="a number above 0")
    return _MADE[name]().loaded(load)
