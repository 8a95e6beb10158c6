"""Volumes: a server's boot disk created from an image, and storage attached to a server.

Clouds without a volume service report that. The sandbox has none, so only that answer is tested.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from dynamo.provision.sites.base import FLEET_TAG
from dynamo.provision.sites.errors import SitePermanentError, SiteRetryableError
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.marks import described, description

if TYPE_CHECKING:
    from openstack.connection import Connection

#: Cinder does not delete volumes in these states.
_BUSY = frozenset({"attaching", "creating", "deleting", "detaching", "in-use"})


def need_service(access: CloudAccess, connection: Connection) -> None:
    """Raise if the site has no volumes.

    Raises
    ------
    SitePermanentError
        If its catalog has no volume service.
    """
    if not access.has_service(connection, "block-storage"):
        hint = "leave out storage and boot volumes at this site, or use a flavor with a larger disk"
        raise SitePermanentError("this site offers no volumes", where=access.site, hint=hint)


def boot_volume(image: str, size_gb: int) -> dict[str, Any]:
    """Return nova's request for a boot disk created from ``image`` and deleted with its server."""
    return {
        "boot_index": 0,
        "source_type": "image",
        "destination_type": "volume",
        "uuid": image,
        "volume_size": size_gb,
        "delete_on_termination": True,
    }


def ensure(access: CloudAccess, *, server_id: str, name: str, fleet: str, size_gb: int) -> str:
    """Create a volume if missing and attach it if not attached; return its id.

    Raises
    ------
    SiteRetryableError
        While the new volume cannot be attached yet.
    """
    with access.use(f"create volume {name}") as connection:
        need_service(access, connection)
        found = _find(connection, name, fleet)
        volume = (
            found[0]
            if found
            else connection.block_storage.create_volume(name=name, size=size_gb, description=description(fleet))
        )
        if any(attachment.get("server_id") == server_id for attachment in volume.attachments or []):
            return str(volume.id)
        if volume.status != "available":
            raise SiteRetryableError(f"volume {name} is {volume.status}", where=access.site, hint="will be retried")
        connection.compute.create_volume_attachment(server_id, volume_id=volume.id)
        return str(volume.id)


def remove(access: CloudAccess, *, name: str, fleet: str) -> None:
    """Delete a volume; cinder refuses (retryable) while it is attached."""
    with access.use(f"delete volume {name}") as connection:
        need_service(access, connection)
        for volume in _find(connection, name, fleet):
            connection.block_storage.delete_volume(volume.id, ignore_missing=True)


def sweep(access: CloudAccess, *, fleet: str, keep: Collection[str]) -> list[str]:
    """Delete volumes of the fleet whose worker is not in ``keep``; return what was deleted.

    A volume is named after its worker. One still attached is left for the next time.
    """
    with access.use("look for volumes without a server") as connection:
        if not access.has_service(connection, "block-storage"):
            return []
        found = [volume for volume in connection.block_storage.volumes(details=True) if _is_of(volume, fleet)]
        free = [volume for volume in found if volume.status not in _BUSY]
        gone = [volume for volume in free if not any(volume.name.startswith(f"{worker}-") for worker in keep)]
        for volume in gone:
            connection.block_storage.delete_volume(volume.id, ignore_missing=True)
    return [f"volume {volume.name}" for volume in gone]


def left(access: CloudAccess, *, fleet: str) -> list[str]:
    """Return the volumes of the fleet that are not being deleted."""
    with access.use("look for volumes") as connection:
        if not access.has_service(connection, "block-storage"):
            return []
        volumes = connection.block_storage.volumes(details=True)
        return [volume.name for volume in volumes if _is_of(volume, fleet) and volume.status != "deleting"]


def _find(connection: Connection, name: str, fleet: str) -> list[Any]:
    return [volume for volume in connection.block_storage.volumes(details=True, name=name) if _is_of(volume, fleet)]


def _is_of(volume: Any, fleet: str) -> bool:
    return described(volume.description).get(FLEET_TAG) == fleet
