"""Extension points of DyNamo: one door per kind of part.

A new built-in part is one new file and one line here. Other packages add parts with entry points in the door's group;
see `dynamo.plugins`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from dynamo.contract import Module
from dynamo.plugins import Door

_log = logging.getLogger("dynamo.plugins")


def doors() -> tuple[Door[Any], ...]:
    """Return all doors."""
    return tuple(value for value in globals().values() if isinstance(value, Door))


def warn_of_quarrels() -> None:
    """Log names claimed by several packages, when a daemon starts; imports no part."""
    for door in doors():
        for part in door.quarrels():
            _log.warning("%s %s of %s cannot be used: %s", door.word, part.name, part.origin, part.problem)


def _module_problem(name: str, part: object) -> str:
    if not isinstance(part, Module):
        return f"is a {type(part).__name__}, not a dynamo.contract.Module"
    return "" if part.name == name else f"its contract calls it {part.name!r:.60}"


def _is_a(target: str) -> Callable[[str, object], str]:
    """Return a check for instances of the class at ``module:name``, which is imported on first use."""

    def problem(_name: str, part: object) -> str:
        module, _, attribute = target.partition(":")
        if isinstance(part, getattr(import_module(module), attribute)):
            return ""
        return f"is a {type(part).__name__}, not a {module}.{attribute}"

    return problem


def _has(*attributes: str) -> Callable[[str, object], str]:
    def problem(_name: str, part: object) -> str:
        missing = [attribute for attribute in attributes if not hasattr(part, attribute)]
        return f"has no {' and no '.join(missing)}" if missing else ""

    return problem


#: Scientific steps; each part is a `dynamo.contract.Module`.
MODULES: Door[Module] = Door(
    "dynamo.modules",
    "module",
    {
        "split": "dynamo.modules.split:MODULE",
        "contour": "dynamo.modules.contour:MODULE",
        "plot": "dynamo.modules.plot:MODULE",
        "hydroclass": "dynamo.modules.hydroclass:MODULE",
        "hail": "dynamo.modules.hail:MODULE",
        "grid": "dynamo.modules.grid:MODULE",
        "composite": "dynamo.modules.composite:MODULE",
        "hail_plot": "dynamo.modules.hail_plot:MODULE",
        "hail_contour": "dynamo.modules.hail_contour:MODULE",
    },
    _module_problem,
)

#: Kinds of feeds; each part is a `dynamo.feeds.base.FeedKind`.
FEEDS: Door[Any] = Door(
    "dynamo.feeds",
    "feed kind",
    {
        "directory": "dynamo.feeds.directory:KIND",
        "nexrad-chunks": "dynamo.feeds.chunks:KIND",
        "products": "dynamo.feeds.products:KIND",
    },
    _is_a("dynamo.feeds.base:FeedKind"),
)

#: Kinds of triggers; each part is a `dynamo.triggers.base.TriggerKind`.
TRIGGERS: Door[Any] = Door(
    "dynamo.triggers",
    "trigger kind",
    {
        "arrival": "dynamo.triggers.arrival:KIND",
        "schedule": "dynamo.triggers.schedule:KIND",
        "precursor": "dynamo.triggers.precursor:KIND",
        "gather": "dynamo.triggers.gather:KIND",
    },
    _is_a("dynamo.triggers.base:TriggerKind"),
)

#: Engines that execute runs; calling a part with its options makes a `dynamo.engines.base.Engine`.
ENGINES: Door[Any] = Door(
    "dynamo.engines",
    "engine",
    {
        "local": "dynamo.engines.local:LocalEngine",
        "condor": "dynamo.engines.condor.engine:CondorEngine",
        "pegasus": "dynamo.engines.pegasus:PegasusEngine",
    },
    _has("submit", "status", "wait", "cancel", "close"),
)

#: Site drivers, the sources of workers; each part is a `dynamo.provision.sites.kind.SiteKind`.
SITES: Door[Any] = Door(
    "dynamo.sites",
    "driver",
    {
        "local": "dynamo.provision.sites.local.site:KIND",
        "openstack": "dynamo.provision.sites.openstack.site:KIND",
        "chameleon": "dynamo.provision.sites.chameleon.site:KIND",
        "simulated": "dynamo.provision.simulated.site:KIND",
    },
    _is_a("dynamo.provision.sites.kind:SiteKind"),
)

#: Scaling policies; each part is a `dynamo.autoscale.policies.kind.PolicyKind`.
POLICIES: Door[Any] = Door(
    "dynamo.policies",
    "policy",
    {
        "static": "dynamo.autoscale.policies.static:KIND",
        "reactive": "dynamo.autoscale.policies.reactive:KIND",
        "linear": "dynamo.autoscale.policies.linear:KIND",
        "predictive": "dynamo.autoscale.policies.predictive:KIND",
    },
    _is_a("dynamo.autoscale.policies.kind:PolicyKind"),
)

#: Alert channels; each part is a `dynamo.alerts.channels.base.ChannelKind`.
CHANNELS: Door[Any] = Door(
    "dynamo.channels",
    "channel",
    {
        "file": "dynamo.alerts.channels.file:KIND",
        "webhook": "dynamo.alerts.channels.webhook:KIND",
        "apprise": "dynamo.alerts.channels.apprise:KIND",
    },
    _is_a("dynamo.alerts.channels.base:ChannelKind"),
)

#: Kinds of tiers that old products are moved to; each part is a `dynamo.archive.tiers.TierKind`.
TIERS: Door[Any] = Door(
    "dynamo.tiers",
    "tier kind",
    {"folder": "dynamo.archive.folder_tier:KIND", "s3": "dynamo.archive.s3_tier:KIND"},
    _is_a("dynamo.archive.tiers:TierKind"),
)

_CHECKS = (
    # of a sweep
    "azimuth_gap",
    "elevation_spread",
    "time_disorder",
    "time_jump",
    "sweep_duration",
    "beyond_nyquist",
    "no_echo",
    "blank_rays",
    "blank_ring",
    "cut_short",
    "flat_values",
    "stuck_rays",
    "clipped_values",
    "coarse_values",
    "lone_gates",
    "holes",
    "spokes",
    "faint_echo",
    "noise_floor",
    "ray_disorder",
    "rhohv_in_rain",
    "zdr_bias",
    "moments_apart",
    "velocity_noise",
    "phase_noise",
    "low_correlation",
    "gates",
    "coverage",
    # of a volume, and of files that follow each other
    "reader_remarks",
    "impossible_values",
    "repeated_sweep",
    "sweeps",
    "site_north",
    "site_east",
    "repeated",
    "neighbour",
    # of grids
    "field_coverage",
    "field_spikes",
    "stripes",
    "edges",
    "flat_field",
    "constant_field",
    "area_jump",
    "place_jump",
    "lead_jump",
    "lead_growth",
    "lead_copies",
    # of products
    "product_valid",
    "product_times",
    "product_values",
    "product_area",
    "product_count",
)

#: Checks of data; each part is a `dynamo.checks.model.Check`.
CHECKS: Door[Any] = Door(
    "dynamo.checks",
    "check",
    {name: f"dynamo.checks.catalogue:{name.upper()}" for name in _CHECKS},
    _is_a("dynamo.checks.model:Check"),
)
