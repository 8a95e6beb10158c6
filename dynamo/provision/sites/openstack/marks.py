"""How what belongs to a fleet is marked at an OpenStack site, so that it is found again with nothing but the cloud.

Servers carry the tags of the request as metadata and as nova tags from the very call that makes them; floating IPs,
ports, networks and volumes carry one description.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from dynamo.provision.sites.base import FLEET_TAG, WORKER_TAG

#: In which region a server was made: where two regions share one nova, each site sees its own servers only.
REGION_TAG = "dynamo-region"
#: The lease of a server on leased hardware.
LEASE_TAG = "dynamo-lease"
#: Set where a port and a floating IP were made for the server and end with it.
ADDRESS_TAG = "dynamo-address"

_LONGEST_NOVA_TAG = 60


def nova_tag(key: str, value: str) -> str:
    """Return ``key=value`` in the form that nova takes: at most 60 characters, without ``/`` and ``,``.

    A value that does not fit is replaced by its digest; the metadata has it in full.
    """
    tag = f"{key}={value}"
    if len(tag) > _LONGEST_NOVA_TAG or "/" in tag or "," in tag:
        digest = hashlib.sha256(value.encode()).hexdigest()[:24]
        tag = f"{key.replace('/', '-').replace(',', '-')}={digest}"
    return tag[:_LONGEST_NOVA_TAG]


def nova_tags(tags: Mapping[str, str]) -> list[str]:
    """Return all of ``tags`` as nova tags, each once."""
    return sorted({nova_tag(key, value) for key, value in tags.items()})


def read_nova_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return the pairs of our nova tags; they are what is left where somebody has wiped the metadata."""
    return dict(tag.split("=", 1) for tag in tags if tag.startswith("dynamo-") and "=" in tag)


def description(fleet: str, worker: str = "") -> str:
    """Return the description of something that belongs to a fleet, and to a worker of it."""
    text = f"{FLEET_TAG}={fleet}"
    return f"{text} {WORKER_TAG}={worker}" if worker else text


def described(text: str | None) -> dict[str, str]:
    """Read a description back; empty for one that is not ours."""
    words: Iterable[str] = (text or "").split(" ")
    pairs = dict(word.split("=", 1) for word in words if word.startswith("dynamo-") and "=" in word)
    return pairs if FLEET_TAG in pairs else {}
