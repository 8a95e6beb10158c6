"""The kinds of sites: one line for each driver."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from dynamo.errors import InputError
from dynamo.provision.sites.base import SiteContext, SiteDriver

#: Kind in the spec -> ``module:factory``; imported only when a site of that kind is used.
DRIVERS = {
    "local": "dynamo.provision.sites.local:LocalSite",
    "openstack": "dynamo.provision.sites.openstack:OpenStackSite",
    "chameleon": "dynamo.provision.sites.chameleon:ChameleonSite",
    "simulated": "dynamo.provision.sites.simulated:SimulatedSite",
}


def open_site(kind: str, context: SiteContext) -> SiteDriver:
    """Return a driver of the named kind.

    Raises
    ------
    InputError
        If there is no such kind, or it does not take the options.
    MissingPartError
        If a library that it needs is not installed.
    """
    target = DRIVERS.get(kind)
    if target is None:
        raise InputError(f"no driver {kind!r:.40}", where=context.site, expected=", ".join(sorted(DRIVERS)))
    module, _, factory = target.partition(":")
    make = cast(Callable[[SiteContext], SiteDriver], getattr(import_module(module), factory))
    return make(context)
