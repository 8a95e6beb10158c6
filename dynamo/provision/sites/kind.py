"""A kind of site: its driver and its options in a spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynamo.provision.sites.base import SiteContext, SiteDriver
from dynamo.provision.sites.options import DriverOptions


@dataclass(frozen=True)
class SiteKind:
    """One kind of site, named by ``driver`` in specs.

    Attributes
    ----------
    open
        Creates the driver of one site.
    site_options, group_options
        The ``options`` models of a site and of a group of workers at one.
    """

    open: Callable[[SiteContext], SiteDriver]
    site_options: tuple[type[DriverOptions], ...] = ()
    group_options: tuple[type[DriverOptions], ...] = ()
