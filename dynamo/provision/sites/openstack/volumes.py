"""Volumes: a server's boot disk created from an image, and storage attached to a server.

Clouds without a volume service report that. The sandbox has none, so only that answer is tested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamo.provision.sites.base import FLEET_TAG
from dynamo.provision.sites.errors import SitePermanentError, SiteRetryableError
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.marks import described, description

if TYPE_CHECKING:
    from openstack.connection import Connection


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


def _find(connection: Connection, name: str, fleet: str) -> list[Any]:
    volumes = connection.block_storage.volumes(details=True, name=name)
    return [volume for volume in volumes if described(volume.description).get(FLEET_TAG) == fleet]
