"""The kinds of sites: one entry for each driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

from dynamo.errors import InputError
from dynamo.provision.sites.base import SiteContext, SiteDriver

if TYPE_CHECKING:
    from dynamo.provision.sites.options import Options

_HERE = "dynamo.provision.sites"
_SIMULATED = "dynamo.provision.simulated"


@dataclass(frozen=True)
class Kind:
    """One kind of site, by names of the form ``module:object``; imported only when a site of that kind is used.

    Attributes
    ----------
    driver
        What makes the driver.
    site_options, group_options
        The models of what a site, and a group of workers at one, may say in ``options``.
    """

    driver: str
    site_options: tuple[str, ...]
    group_options: tuple[str, ...] = ()


_SERVERS = f"{_HERE}.openstack.options:RequestOptions"
_CLOUD = f"{_HERE}.openstack.options:SiteOptions"
_LEASES = f"{_HERE}.chameleon.options:LeaseOptions"
KINDS = {
    "local": Kind(f"{_HERE}.local.site:LocalSite", (f"{_HERE}.local.options:LocalOptions",)),
    "openstack": Kind(f"{_HERE}.openstack.site:OpenStackSite", (_CLOUD, _SERVERS), (_SERVERS,)),
    "chameleon": Kind(
        f"{_HERE}.chameleon.site:ChameleonSite",
        (f"{_HERE}.chameleon.options:LeaseSiteOptions", _LEASES, _CLOUD, _SERVERS),
        (_LEASES, _SERVERS),
    ),
    "simulated": Kind(
        "dynamo.provision.simulated.site:SimulatedSite", ("dynamo.provision.simulated.options:SimulatedOptions",)
    ),
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
    known = KINDS.get(kind)
    if known is None:
        raise InputError(f"no driver {kind!r:.40}", where=context.site, expected=", ".join(sorted(KINDS)))
    make = cast("Callable[[SiteContext], SiteDriver]", _named(known.driver))
    return make(context)


def option_models(kind: str, *, group: bool) -> tuple[type[Options], ...]:
    """Return the models of what a site of that kind, or a group of workers there, may say in ``options``."""
    known = KINDS[kind]
    names = known.group_options if group else known.site_options
    return tuple(cast("type[Options]", _named(name)) for name in names)


def _named(target: str) -> object:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
