"""Choose a server size: the cheapest, then the smallest, that meets the requirements."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.errors import NotFoundError
from dynamo.provision.sites.base import Flavor

_NEAR_MISSES = 3


@dataclass(frozen=True)
class FlavorNeed:
    """Minimum requirements of one worker.

    Attributes
    ----------
    ram_per_cpu_mb, disk_per_cpu_mb
        Per processor of the flavor, up to ``most_cpus`` processors, as no more are requested.
    """

    cpus: int = 1
    ram_mb: int = 0
    disk_gb: int = 0
    gpus: int = 0
    ram_per_cpu_mb: int = 0
    disk_per_cpu_mb: int = 0
    most_cpus: int | None = None

    def lacks(self, flavor: Flavor) -> tuple[str, ...]:
        """Return what ``flavor`` has too little of, each like ``ram 2048 of 4096 MB``."""
        used = flavor.cpus if self.most_cpus is None else min(flavor.cpus, self.most_cpus)
        # Report too few processors as such, not as too little memory for them.
        used = max(used, self.cpus)
        ram_mb = max(self.ram_mb, self.ram_per_cpu_mb * used)
        disk_gb = max(self.disk_gb, -(-self.disk_per_cpu_mb * used // 1000))
        found = (
            ("cpus", flavor.cpus, self.cpus, ""),
            ("ram", flavor.ram_mb, ram_mb, " MB"),
            # A disk of 0 means a network volume or a whole bare-metal machine: not known to be too small.
            ("disk", flavor.disk_gb or disk_gb, disk_gb, " GB"),
            ("gpus", flavor.gpus, self.gpus, ""),
        )
        return tuple(f"{what} {has} of {wanted}{unit}" for what, has, wanted, unit in found if has < wanted)


def choose(flavors: Sequence[Flavor], need: FlavorNeed, *, where: object = None) -> Flavor:
    """Return the flavor for ``need``: the cheapest, then the smallest.

    Flavors with unknown cost come after those with a cost. Flavors with unrequested GPUs come last:
    they are expensive even if no cost is given.

    Raises
    ------
    NotFoundError
        If none is large enough; it names the nearest ones and what they lack.
    """
    fitting = [flavor for flavor in flavors if not need.lacks(flavor)]
    if fitting:
        return min(fitting, key=lambda flavor: _order(flavor, need))
    missing = sorted(
        ((need.lacks(flavor), flavor) for flavor in flavors), key=lambda pair: (len(pair[0]), pair[1].name)
    )
    near = [f"{flavor.name} ({', '.join(lacks)})" for lacks, flavor in missing[:_NEAR_MISSES]]
    raise NotFoundError(
        "no flavor meets the requirements",
        where=where,
        expected=f"one with at least {_words(need)}",
        hint=f"nearest: {'; '.join(near)}" if near else "the site offers no flavors",
    )


def named(flavors: Sequence[Flavor], name: str, *, where: object = None) -> Flavor:
    """Return the flavor called ``name``; raise `NotFoundError` listing the available ones if there is none."""
    for flavor in flavors:
        if flavor.name == name:
            return flavor
    names = sorted(flavor.name for flavor in flavors)
    near = difflib.get_close_matches(name, names, n=1)
    raise NotFoundError(
        f"flavor {name!r:.80} not found",
        where=where,
        expected=", ".join(names[:20]) + (", ..." if len(names) > 20 else ""),
        hint=f"did you mean {near[0]!r}?" if near else None,
    )


def _order(flavor: Flavor, need: FlavorNeed) -> tuple[bool, bool, float, int, int, int, str]:
    told = flavor.cost_per_hour is not None
    return (
        flavor.gpus > 0 and need.gpus == 0,
        not told,
        flavor.cost_per_hour or 0.0,
        flavor.cpus,
        flavor.ram_mb,
        flavor.disk_gb,
        flavor.name,
    )


def _words(need: FlavorNeed) -> str:
    parts = [f"{need.cpus} cpus"]
    if need.ram_mb or need.ram_per_cpu_mb:
        parts.append(f"{max(need.ram_mb, need.ram_per_cpu_mb * need.cpus)} MB of memory")
    if need.disk_gb or need.disk_per_cpu_mb:
        parts.append(f"{max(need.disk_gb, -(-need.disk_per_cpu_mb * need.cpus // 1000))} GB of disk")
    if need.gpus:
        parts.append(f"{need.gpus} gpus")
    return ", ".join(parts)
