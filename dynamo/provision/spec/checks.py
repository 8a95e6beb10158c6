"""Checks across the fields of a fleet spec: references, ordering, duplicate names."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamo.documents.problems import Problem, Problems, shown
from dynamo.provision.spec.compute import ComputeSpec
from dynamo.provision.spec.network import LINK_ACTIONS, NetworkSpec, ScriptSpec, StitchSpec, StorageSpec
from dynamo.provision.spec.sites import SiteSpec

_DRIVERS = {"local": "local", "chameleon": "chameleon", "simulated": "simulated"}
_NAME_LENGTH = 40


@dataclass(frozen=True)
class SpecParts:
    """The well-formed parts of a spec, by their place in the document."""

    sites: Mapping[str, SiteSpec] = field(default_factory=dict)
    compute: Mapping[int, ComputeSpec] = field(default_factory=dict)
    network: Mapping[int, NetworkSpec] = field(default_factory=dict)
    storage: Mapping[int, StorageSpec] = field(default_factory=dict)
    stitch: Mapping[int, StitchSpec] = field(default_factory=dict)
    script: Mapping[int, ScriptSpec] = field(default_factory=dict)
    pool_config: tuple[str, str | None] = ("own", None)
    breaker_s: tuple[float, float] = (0.0, 0.0)
    #: How often the pool is looked at, and when a worker counts as missing.
    looks_s: tuple[float, float] = (0.0, 0.0)
    #: False if invalid sites or groups were left out: references to them are not reported.
    all_sites: bool = True
    all_groups: bool = True


def default_driver(cloud: str) -> str:
    """Return the default driver for a cloud name."""
    return _DRIVERS.get(cloud.lower(), "openstack")


def derived_names(groups: Mapping[int, ComputeSpec]) -> dict[int, str]:
    """Return names for unnamed groups: host prefix or site, numbered if taken."""
    taken = {group.name for group in groups.values() if group.name}
    names: dict[int, str] = {}
    for position, group in groups.items():
        if group.name:
            continue
        base = plain_name(group.host_name_prefix or group.site)
        name, number = base, 1
        while name in taken:
            number += 1
            end = f"-{number}"
            name = base[: _NAME_LENGTH - len(end)].rstrip("-") + end
        taken.add(name)
        names[position] = name
    return names


def plain_name(text: str) -> str:
    """Return ``text`` as a valid name: lowercase letters, digits and hyphens."""
    words = "".join(character if character.isascii() and character.isalnum() else " " for character in text).split()
    return "-".join(words).lower()[:_NAME_LENGTH].strip("-") or "fleet"


def check(parts: SpecParts) -> tuple[Problem, ...]:
    """Return all problems between the parts."""
    problems = Problems()
    if parts.pool_config == ("existing", None):
        problems.add("pool.condor_config", "missing", expected="the existing pool's configuration file")
    if parts.breaker_s[0] > parts.breaker_s[1]:
        problems.add("policy.breaker.max_s", "shorter than base_s", expected=f"at least {parts.breaker_s[0]:g}")
    cycle_s, missing_s = parts.looks_s
    if missing_s < 2 * cycle_s:
        # One look that misses a worker must not be the end of it.
        problems.add(
            "policy.missing_s",
            f"{missing_s:g} s, but the pool is looked at every {cycle_s:g} s (cycle_s)",
            expected=f"at least {2 * cycle_s:g}, or a shorter cycle_s",
        )
    _check_names(parts, problems)
    for position, group in parts.compute.items():
        _check_site(f"compute[{position}].site", group.site, parts, problems)
        _check_group(f"compute[{position}]", group, problems)
        _check_network_name(f"compute[{position}].network", group, parts, problems)
    for position, network in parts.network.items():
        _check_network(f"network[{position}]", network, parts, problems)
    for kind, items in (("storage", parts.storage), ("stitch", parts.stitch), ("script", parts.script)):
        for position, item in items.items():
            _check_target(f"{kind}[{position}].target", item.target, parts, problems)
    for kind, leased in (("compute", parts.compute), ("network", parts.network), ("storage", parts.storage)):
        for position, thing in leased.items():
            _check_lease(f"{kind}[{position}].leaseEnd", thing, problems)
    _check_room(parts, problems)
    return problems.all


def _check_names(parts: SpecParts, problems: Problems) -> None:
    seen: dict[str, int] = {}
    for position, group in parts.compute.items():
        if group.name in seen:
            problems.add(
                f"compute[{position}].name",
                f"{shown(group.name)} is already the name of compute[{seen[group.name]}]",
                expected="a unique name",
            )
        elif group.name:
            seen[group.name] = position
    networks: dict[tuple[str | None, str], int] = {}
    for position, network in parts.network.items():
        if network.name is None or network.is_link:
            continue
        first = networks.setdefault((network.site, network.name), position)
        if first != position:
            problems.add(
                f"network[{position}].name",
                f"{shown(network.name)} is already the name of network[{first}] at the same site",
                expected="a unique name",
            )


def _check_site(path: str, site: str, parts: SpecParts, problems: Problems) -> None:
    # Without `sites` they are derived; with it, an unlisted name is probably misspelled.
    if parts.sites and site not in parts.sites and parts.all_sites:
        problems.add_unknown(path, "site", site, parts.sites)


def _check_group(path: str, group: ComputeSpec, problems: Problems) -> None:
    if group.count is None and group.cpus is None and "min" not in group.model_fields_set:
        problems.add(path, "number of workers missing", expected="count (workers) or cpus (total)")
    if group.count is not None and group.cpus is not None:
        problems.add(
            f"{path}.cpus", "conflicts with count", expected="one of them; workerCpus sets the size of a worker"
        )
    if group.max is not None and group.max < group.min:
        problems.add(f"{path}.max", f"{group.max} is less than min", expected=f"at least {group.min}")
    elif group.count is not None and group.count < group.min:
        problems.add(f"{path}.count", f"{group.count} is less than min", expected=f"at least {group.min}")
    elif group.count is not None and group.max is not None and group.count > group.max:
        problems.add(f"{path}.count", f"{group.count} is more than max", expected=f"at most {group.max}")
    if group.coallocate and group.cpus is None:
        problems.add(f"{path}.coallocate", "requires cpus", expected="cpus in the same group")
    if group.ip_address is not None and not group.coallocate and group.count != 1:
        problems.add(f"{path}.ipAddress", "applies to a single worker only", expected="coallocate true, or count 1")
    if group.slice_policy == "existing" and group.slice_name is None:
        problems.add(f"{path}.sliceName", "missing", expected="the slice for slicePolicy existing")
    if group.image_hash is not None and group.image_url is None:
        problems.add(f"{path}.imageUrl", "missing", expected="the URL of the image imageHash belongs to")


def _check_network_name(path: str, group: ComputeSpec, parts: SpecParts, problems: Problems) -> None:
    known = {network.name: network.site for network in parts.network.values() if network.name and not network.is_link}
    if group.network is None or not known:
        return
    sites = {network.site for network in parts.network.values() if network.name == group.network}
    if sites:
        if group.site not in sites and None not in sites:
            problems.add(
                path,
                f"the network {shown(group.network)} is at {', '.join(sorted(filter(None, sites)))}",
                expected=f"one at {group.site}",
            )
        return
    # Other names are the site's own networks; one that nearly matches an entry is a typo.
    here = [name for name, site in known.items() if site in (group.site, None)]
    close = difflib.get_close_matches(group.network[:100], here, n=1, cutoff=0.85)
    if close:
        problems.add(path, f"no entry {shown(group.network)} in network", expected="an entry", nearest=close[0])


def _check_network(path: str, network: NetworkSpec, parts: SpecParts, problems: Problems) -> None:
    if network.is_link:
        for field_name, value in (("source", network.source), ("destination", network.destination)):
            if value is None:
                problems.add(f"{path}.{field_name}", "missing", expected="the worker at the other end of the link")
        if network.action not in LINK_ACTIONS:
            problems.add(f"{path}.action", "is not a link action", expected="add, delete or update")
        return
    if network.name is None:
        problems.add(path, "is neither a network nor a link", expected="name and site, or source and destination")
        return
    if network.site is None:
        problems.add(f"{path}.site", "missing", expected="the network's site, Cloud:Region")
    else:
        _check_site(f"{path}.site", network.site, parts, problems)
    if network.action in LINK_ACTIONS:
        problems.add(f"{path}.action", "is not a network action", expected="create or use")
    elif network.action == "create" and network.cidr is None:
        problems.add(f"{path}.cidr", "missing", expected="addresses of the network to create, e.g. 10.20.0.0/24")


def _check_target(path: str, target: str, parts: SpecParts, problems: Problems) -> None:
    if not parts.compute or not parts.all_groups:
        return  # Mobius: a worker from an earlier request.
    names = derived_names(parts.compute)
    known = {group.name or names[position] for position, group in parts.compute.items()}
    known |= {group.host_name_prefix.lower() for group in parts.compute.values() if group.host_name_prefix}
    if not any(target.lower().startswith(name) for name in known) and ":" not in target and not target[0].isdigit():
        problems.add_unknown(path, "worker or group", target, known)


def _check_lease(path: str, thing: ComputeSpec | NetworkSpec | StorageSpec, problems: Problems) -> None:
    start, end = thing.lease_start, thing.lease_end
    if end is None:
        return
    if end.text == "now":
        problems.add(path, "ends immediately", expected="a future time")
    elif start is not None and start.time is not None and end.time is not None and end.time <= start.time:
        problems.add(path, "is not after leaseStart", expected=f"a time after {start}")


def _check_room(parts: SpecParts, problems: Problems) -> None:
    for name, site in parts.sites.items():
        if site.max_workers is None:
            continue
        wanted = sum(max(group.count or 0, group.min) for group in parts.compute.values() if group.site == name)
        if wanted > site.max_workers:
            problems.add(
                f"sites[{_quoted(name)}].max_workers",
                f"{site.max_workers}, but the groups there request {wanted} workers",
                expected=f"at least {wanted}, or smaller groups",
            )


def _quoted(name: str) -> str:
    return f'"{name}"'
