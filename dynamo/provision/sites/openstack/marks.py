"""Marks on what belongs to a fleet at an OpenStack site, so that it is found again from the cloud alone.

Servers carry the request's tags as metadata and as nova tags from creation; floating IPs,
ports, networks and volumes carry a description.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from dynamo.provision.sites.base import FLEET_TAG, WORKER_TAG

#: The region of a server: if two regions share one nova, each site sees only its own servers.
REGION_TAG = "dynamo-region"
#: The lease of a server on leased hardware.
LEASE_TAG = "dynamo-lease"
#: Set if a port and a floating IP were created for the server and are deleted with it.
ADDRESS_TAG = "dynamo-address"

_LONGEST_NOVA_TAG = 60


def nova_tag(key: str, value: str) -> str:
    """Return ``key=value`` in the form nova accepts: at most 60 characters, without ``/`` and ``,``.

    A value that does not fit is replaced by its digest; the metadata has the full value.
    """
    tag = f"{key}={value}"
    if len(tag) > _LONGEST_NOVA_TAG or "/" in tag or "," in tag:
        digest = hashlib.sha256(value.encode()).hexdigest()[:24]
        tag = f"{key.replace('/', '-').replace(',', '-')}={digest}"
    return tag[:_LONGEST_NOVA_TAG]


def nova_tags(tags: Mapping[str, str]) -> list[str]:
    """Return ``tags`` as nova tags, each once."""
    return sorted({nova_tag(key, value) for key, value in tags.items()})


def read_nova_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return the pairs in our nova tags, which remain if someone wiped the metadata."""
    return dict(tag.split("=", 1) for tag in tags if tag.startswith("dynamo-") and "=" in tag)


def description(fleet: str, worker: str = "") -> str:
    """Return the description of a resource of a fleet, and optionally of one of its workers."""
    text = f"{FLEET_TAG}={fleet}"
    return f"{text} {WORKER_TAG}={worker}" if worker else text


def described(text: str | None) -> dict[str, str]:
    """Parse a description; empty if it is not ours."""
    words: Iterable[str] = (text or "").split(" ")
    pairs = dict(word.split("=", 1) for word in words if word.startswith("dynamo-") and "=" in word)
    return pairs if FLEET_TAG in pairs else {}
