"""Find fields of a spec that have no effect; each use is reported: `network[0].qos: accepted, not acted on (why)`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dynamo.provision.spec.fleet import FleetSpec
from dynamo.provision.spec.marks import marks_of
from dynamo.provision.spec.network import NetworkSpec, ScriptSpec, StitchSpec, StorageSpec, concerns
from dynamo.provision.spec.types import Part


@dataclass(frozen=True)
class Ignored:
    """One use of a field that has no effect.

    Attributes
    ----------
    path
        Its place in the spec, e.g. ``network[0].qos``.
    """

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: accepted, not acted on ({self.reason})"


def not_acted_on(spec: FleetSpec) -> tuple[Ignored, ...]:
    """Return all uses of fields that have no effect at their sites."""
    drivers: dict[str, str] = {name: site.driver for name, site in spec.sites.items()}
    found: list[Ignored] = []
    for name, site in spec.sites.items():
        found += ignored_in(site, frozenset({site.driver}), f'sites["{name}"].')
    for number, group in enumerate(spec.compute):
        found += ignored_in(group, frozenset({drivers[group.site]}), f"compute[{number}].")
    for number, network in enumerate(spec.network):
        found += ignored_in(network, _drivers_of_network(network, drivers), f"network[{number}].")
    targeted: tuple[tuple[str, tuple[StorageSpec | StitchSpec | ScriptSpec, ...]], ...] = (
        ("storage", spec.storage),
        ("stitch", spec.stitch),
        ("script", spec.script),
    )
    for kind, items in targeted:
        for number, item in enumerate(items):
            found += ignored_in(item, drivers_of_target(item, spec), f"{kind}[{number}].")
    return tuple(found)


def ignored_in(part: Part, drivers: frozenset[str] = frozenset(), place: str = "") -> Iterator[Ignored]:
    """Return the uses in one part, which is for sites with ``drivers``, at ``place`` in the spec."""
    told: set[str] = set()
    for name, mark in marks_of(type(part)):
        info = type(part).model_fields[name]
        given = name in part.model_fields_set and getattr(part, name) != info.get_default(call_default_factory=True)
        if given and name not in told and not mark.silent and mark.applies(part, drivers):
            told.add(name)
            yield Ignored(f"{place}{info.alias or name}", mark.reason)


def _drivers_of_network(network: NetworkSpec, drivers: dict[str, str]) -> frozenset[str]:
    return frozenset(driver for site, driver in drivers.items() if site == network.site)


def drivers_of_target(item: StorageSpec | StitchSpec | ScriptSpec, spec: FleetSpec) -> frozenset[str]:
    """Return the drivers of the target's sites; none for a worker of no known group."""
    return frozenset(
        spec.sites[group.site].driver
        for group in spec.compute
        if any(concerns(item.target, name, name) for name in (group.name, group.host_name_prefix or group.name))
        or item.target.startswith(f"{group.name}-")
    )
