"""The kinds of sites by name: built-in ones, and those of installed packages."""

from __future__ import annotations

from dynamo.doors import SITES
from dynamo.provision.sites.base import SiteContext, SiteDriver
from dynamo.provision.sites.options import DriverOptions


def open_site(kind: str, context: SiteContext) -> SiteDriver:
    """Return a driver of the named kind.

    Raises
    ------
    InputError
        If it does not take the options.
    NotFoundError
        If there is no such kind; names the nearest.
    MissingPartError
        If a library that it needs is not installed; `PluginError` if it is one of another package that cannot be used.
    """
    found = SITES.load(kind)
    with SITES.blamed(kind):
        driver: SiteDriver = found.open(context)
        return driver


def option_models(kind: str, *, group: bool) -> tuple[type[DriverOptions], ...]:
    """Return the models of what a site of that kind, or a group of workers there, may say in ``options``.

    Raises
    ------
    NotFoundError, PluginError
        As `open_site`.
    """
    found = SITES.load(kind)
    models: tuple[type[DriverOptions], ...] = found.group_options if group else found.site_options
    return models
