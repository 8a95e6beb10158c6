"""Everything in a request that the site will refuse: each name is looked up, nothing is created."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from dynamo.provision.sites.base import ServerRequest
from dynamo.provision.sites.errors import SitePermanentError
from dynamo.provision.sites.openstack.lookup import Lookup, is_public_key
from dynamo.provision.sites.openstack.options import RequestOptions


def problems_of(
    lookup: Lookup, request: ServerRequest, options: RequestOptions, *, external: str, new_networks: Collection[str]
) -> tuple[str, ...]:
    """Return what is wrong with a request, in words.

    Parameters
    ----------
    external
        The network for floating IPs, from the site's options.
    new_networks
        Networks that do not exist yet, because the fleet creates them.

    Raises
    ------
    SiteError
        If the site does not answer.
    """
    found = []
    for look_up in _lookups(lookup, request, options, external, new_networks):
        try:
            look_up()
        except SitePermanentError as error:
            found.append(in_words(error))
    return tuple(found)


def in_words(error: SitePermanentError) -> str:
    """Return an error without the site's name, which is said around it."""
    return error.what + (f"; {error.hint}" if error.hint else f"; expected {error.expected}" if error.expected else "")


def _lookups(
    lookup: Lookup, request: ServerRequest, options: RequestOptions, external: str, new_networks: Collection[str]
) -> Iterator[Callable[[], object]]:
    if request.flavor.name:
        yield lambda: lookup.flavor(request.flavor.name)
    yield lambda: lookup.image(request.image, options.image_properties)
    if request.network not in new_networks:
        yield lambda: lookup.network(request.network)
    for name in request.security_groups:
        yield lambda name=name: lookup.security_groups((name,))  # type: ignore[misc]
    if options.public_key:
        yield lambda: is_public_key(options.public_key, lookup.site)
    elif request.key:
        yield lambda: lookup.key(request.key)
    if request.availability_zone:
        yield lambda: lookup.availability_zone(request.availability_zone)
    if request.floating_ip:
        yield lambda: lookup.external_network(external)
    if options.boot_volume_gb:
        yield lookup.volumes
