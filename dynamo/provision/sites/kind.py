"""What a kind of site is to the rest: its driver, and what may be said of it in a spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dynamo.provision.sites.base import SiteContext, SiteDriver
from dynamo.provision.sites.options import DriverOptions


@dataclass(frozen=True)
class SiteKind:
    """One kind of site, as specs name it by ``driver``.

    Attributes
    ----------
    open
        Makes the driver of one site.
    site_options, group_options
        The models of what a site, and a group of workers at one, may say in ``options``.
    """

    open: Callable[[SiteContext], SiteDriver]
    site_options: tuple[type[DriverOptions], ...] = ()
    group_options: tuple[type[DriverOptions], ...] = ()
