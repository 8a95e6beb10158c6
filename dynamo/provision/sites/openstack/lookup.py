"""Resolve names of images, flavors, networks, groups and keys to ids; create some if missing."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dynamo.provision.sites.base import Flavor
from dynamo.provision.sites.errors import SitePermanentError
from dynamo.provision.sites.openstack import volumes
from dynamo.provision.sites.openstack.cache import TimedCache
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.options import ServerGroupOptions
from dynamo.provision.sites.openstack.servers import flavor_of

if TYPE_CHECKING:
    from openstack.connection import Connection

#: The default security group of workers: everything out, nothing in.
WORKER_GROUP = "dynamo-worker"
_ID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)


class Lookup:
    """Resolves the names in a request to the site's ids; answers are cached for some minutes."""

    def __init__(self, access: CloudAccess, keep_s: float) -> None:
        self._access = access
        self._cache = TimedCache(keep_s)
        self._site = access.site

    @property
    def site(self) -> str:
        """The site's name."""
        return self._site

    def clear(self) -> None:
        """Forget all ids: a site may replace images and flavors under the same names."""
        self._cache.clear()

    def flavors(self) -> Sequence[Flavor]:
        """Return the sizes this project may use."""
        return tuple(flavor_of(found) for found in self._flavors())

    def flavor(self, name: str) -> str:
        """Return the id of a flavor given by name or id."""
        found = _named(self._flavors(), name)
        if found is None:
            # It may be new: reservations create their own flavors.
            self._cache.forget("flavors")
            found = _named(self._flavors(), name)
        if found is None:
            raise self._unknown("flavor", name, (str(flavor.name) for flavor in self._flavors()))
        return str(found.id)

    def image(self, name: str, properties: Mapping[str, str]) -> str:
        """Return the id of an image given by name, id, or required properties; the newest of several."""
        if not name and not properties:
            raise SitePermanentError(
                "no image given", where=self._site, hint="name one, or set options.image_properties"
            )
        key = ("image", name, tuple(sorted(properties.items())))
        return self._cache.get(key, lambda: self._find_image(name, properties))

    def network(self, name: str) -> str:
        """Return the id of a network by name or id; if empty, of the only network available to servers."""
        return self._cache.get(("network", name), lambda: self._find_network(name))

    def external_network(self, name: str) -> str:
        """Return the id of the network used by floating IPs and routers."""
        return self._cache.get(("external", name), lambda: self._find_external(name))

    def security_groups(self, names: Sequence[str]) -> list[str]:
        """Return ids by name; if ``names`` is empty, that of the workers' group, created if missing."""
        if not names:
            return [self._cache.get(("security group", ""), self._worker_group)]
        return [self._cache.get(("security group", name), partial(self._find_group, name)) for name in names]

    def key_pair(self, public_key: str) -> str:
        """Return the name of the key pair for an OpenSSH public key, importing it if missing."""
        words = is_public_key(public_key, self._site)
        name = f"dynamo-{hashlib.sha256(' '.join(words[:2]).encode()).hexdigest()[:16]}"
        return self._cache.get(("key", name), lambda: self._import_key(name, public_key))

    def key(self, name: str) -> str:
        """Return the name of an existing key pair."""
        return self._cache.get(("key", name), lambda: self._find_key(name))

    def availability_zone(self, name: str) -> str:
        """Return a zone that exists; an administrator's ``zone:host`` is one of ``zone``."""
        return self._cache.get(("zone", name), lambda: self._find_zone(name))

    def volumes(self) -> None:
        """Raise if the site offers no volumes."""
        with self._access.use("find the volume service") as connection:
            volumes.need_service(self._access, connection)

    def server_group(self, wanted: ServerGroupOptions) -> str:
        """Return the id of a server group, created if missing."""
        return self._cache.get(("server group", wanted.name), lambda: self._ensure_server_group(wanted))

    def _flavors(self) -> Sequence[Any]:
        return self._cache.get("flavors", lambda: self._ask("list flavors", lambda c: list(c.compute.flavors())))

    def _ask(self, doing: str, ask: Callable[[Connection], Any]) -> Any:
        with self._access.use(doing) as connection:
            return ask(connection)

    def _find_image(self, name: str, properties: Mapping[str, str]) -> str:
        with self._access.use(f"find image {name or dict(properties)}") as connection:
            if _ID.fullmatch(name):
                return name
            query: dict[str, Any] = {"name": name} if name else dict(properties)
            found = [image for image in connection.image.images(**query) if image.status == "active"]
            if not found and name:
                known = (str(image.name) for image in connection.image.images())
                raise self._unknown("image", name, known)
        if not found:
            words = ", ".join(f"{key}={value}" for key, value in properties.items())
            raise SitePermanentError(f"no active image with {words}", where=self._site)
        return str(max(found, key=lambda image: image.created_at or "").id)

    def _find_network(self, name: str) -> str:
        with self._access.use(f"find network {name}".rstrip()) as connection:
            if _ID.fullmatch(name):
                return name
            usable = [network for network in connection.network.networks() if name or not network.is_router_external]
        found = [network for network in usable if not name or network.name == name]
        return self._only("network", name, found, usable)

    def _find_external(self, name: str) -> str:
        with self._access.use("find the external network") as connection:
            usable = list(connection.network.networks(is_router_external=True))
        found = [network for network in usable if not name or name in (network.name, network.id)]
        return self._only("external network", name, found, usable)

    def _find_group(self, name: str) -> str:
        with self._access.use(f"find security group {name}") as connection:
            usable = list(connection.network.security_groups())
        found = [group for group in usable if name in (group.name, group.id)]
        return self._only("security group", name, found, usable)

    def _find_key(self, name: str) -> str:
        with self._access.use(f"find key {name}") as connection:
            known = [str(key.name) for key in connection.compute.keypairs()]
        if name not in known:
            raise self._unknown("key", name, known)
        return name

    def _find_zone(self, name: str) -> str:
        with self._access.use(f"find availability zone {name}") as connection:
            known = [str(zone.name) for zone in connection.compute.availability_zones()]
        if name.partition(":")[0] not in known:
            raise self._unknown("availability zone", name, known)
        return name

    def _worker_group(self) -> str:
        with self._access.use(f"ensure security group {WORKER_GROUP}") as connection:
            # An administrator sees all projects' groups.
            project = connection.current_project_id
            mine = {"name": WORKER_GROUP, "project_id": project}
            found = sorted(connection.network.security_groups(**mine), key=lambda group: str(group.created_at))
            if found:
                return str(found[0].id)
            made = connection.network.create_security_group(
                name=WORKER_GROUP, description="DyNamo workers: everything out, nothing in"
            )
            return str(made.id)

    def _import_key(self, name: str, public_key: str) -> str:
        from openstack.exceptions import ConflictException

        with self._access.use(f"import key {name}") as connection:
            try:
                connection.compute.create_keypair(name=name, public_key=public_key.strip())
            except ConflictException:
                # It exists already; the name shows that it is the same key.
                return name
        return name

    def _ensure_server_group(self, wanted: ServerGroupOptions) -> str:
        with self._access.use(f"ensure server group {wanted.name}") as connection:
            for group in connection.compute.server_groups():
                if group.name == wanted.name:
                    return str(group.id)
            return str(connection.compute.create_server_group(name=wanted.name, policy=wanted.policy).id)

    def _only(self, kind: str, name: str, found: Sequence[Any], usable: Sequence[Any]) -> str:
        if len(found) == 1:
            return str(found[0].id)
        names = [str(thing.name) for thing in usable]
        if not found:
            raise self._unknown(kind, name, names)
        if name:
            raise SitePermanentError(
                f"{len(found)} {kind}s are named {name!r}",
                where=self._site,
                hint="give the id: " + ", ".join(str(thing.id) for thing in found),
            )
        raise SitePermanentError(
            f"ambiguous {kind}: there are {len(found)}", where=self._site, expected="one of " + ", ".join(sorted(names))
        )

    def _unknown(self, kind: str, name: str, known: Iterable[str]) -> SitePermanentError:
        names = sorted(set(known))
        near = difflib.get_close_matches(name, names, n=3)
        expected = ", ".join(near or names[:8]) or None
        hint = f"did you mean {near[0]!r}?" if near else None
        what = f"no {kind} {name!r}" if name else f"no {kind}"
        return SitePermanentError(what, where=self._site, expected=expected, hint=hint)


def is_public_key(public_key: str, site: str) -> list[str]:
    """Return the words of an OpenSSH public key.

    Raises
    ------
    SitePermanentError
        If it is something else.
    """
    words = public_key.split()
    if len(words) < 2 or not words[0].startswith(("ssh-", "ecdsa-", "sk-")):
        raise SitePermanentError(
            "public_key is not an OpenSSH public key", where=site, expected="ssh-ed25519 AAAA... comment"
        )
    return words


def _named(flavors: Iterable[Any], name: str) -> Any:
    return next((flavor for flavor in flavors if name in (flavor.name, flavor.id)), None)
