"""OpenStack options of a site and of a group of workers; unknown names are errors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamo.provision.sites.options import DriverOptions


class SiteOptions(DriverOptions):
    """Options of a site."""

    cloud: str = Field(
        default="", description="Name in clouds.yaml, instead of the site's `cloud`; empty for OS_CLOUD."
    )
    config_file: str = Field(default="", description="Path of a clouds.yaml; empty for the usual places.")
    region: str = Field(default="", description="Region of the cloud, instead of the site's `region`.")
    interface: Literal["public", "internal", "admin"] = Field(
        default="public", description="Which endpoint of a service to use."
    )
    external_network: str = Field(
        default="",
        description="Network for floating IPs and routers; empty for the only external network.",
    )
    cache_s: float = Field(
        default=300.0, ge=0, description="How long names of images, flavors and networks are cached, s."
    )


class ServerGroupOptions(DriverOptions):
    """A server group, to keep workers apart or together."""

    name: str
    policy: Literal["soft-anti-affinity", "anti-affinity", "soft-affinity", "affinity"] = "soft-anti-affinity"


class RequestOptions(DriverOptions):
    """Options of one server; in a site's options they are defaults for all its servers.

    ``first_attempt`` is set by a caller that has never requested this server before: it saves the check
    whether it exists.
    """

    first_attempt: bool = False
    image_properties: dict[str, str] = Field(
        default_factory=dict,
        description='Instead of `image`: the newest image with all these properties, e.g. `{"os_distro": "ubuntu"}`.',
    )
    public_key: str = Field(
        default="",
        description="An OpenSSH public key instead of `key`; imported under a name derived from its fingerprint.",
    )
    config_drive: bool = Field(default=False, description="Pass user data on a config drive, too.")
    server_group: ServerGroupOptions | None = Field(
        default=None,
        description="Server group to join, created if missing: `name`, and `policy` `soft-anti-affinity` (the "
        "default), `anti-affinity`, `soft-affinity` or `affinity`.",
    )
    boot_volume_gb: int = Field(
        default=0,
        ge=0,
        description="Boot from a volume of this size, GB, created from the image and deleted with the server; 0: the "
        "flavor's disk.",
    )
    scheduler_hints: dict[str, str] = Field(default_factory=dict, description="Passed on unchanged.")
    metadata: dict[str, str] = Field(default_factory=dict, description="Passed on unchanged.")
