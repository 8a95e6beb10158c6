"""The kinds of sites by name: built-in ones and those from installed packages."""

from __future__ import annotations

from dynamo.doors import SITES
from dynamo.provision.sites.base import SiteContext, SiteDriver
from dynamo.provision.sites.options import DriverOptions


def open_site(kind: str, context: SiteContext) -> SiteDriver:
    """Create a driver of the named kind.

    Raises
    ------
    InputError
        If it rejects the options.
    NotFoundError
        If the kind does not exist; names the nearest.
    MissingPartError
        If a library it needs is not installed; `PluginError` if it comes from a package that cannot be used.
    """
    found = SITES.load(kind)
    with SITES.blamed(kind):
        driver: SiteDriver = found.open(context)
        return driver


def option_models(kind: str, *, group: bool) -> tuple[type[DriverOptions], ...]:
    """Return the ``options`` models for a site of that kind, or for a group of workers there.

    Raises
    ------
    NotFoundError, PluginError
        As `open_site`.
    """
    found = SITES.load(kind)
    models: tuple[type[DriverOptions], ...] = found.group_options if group else found.site_options
    return models
