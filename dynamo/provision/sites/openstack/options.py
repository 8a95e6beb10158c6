"""What a site and a group of workers may say in ``options`` for OpenStack; unknown words are errors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamo.provision.sites.options import DriverOptions


class SiteOptions(DriverOptions):
    """Options of a site."""

    cloud: str = Field(
        default="", description="Its name in clouds.yaml, in place of the site's `cloud`; empty for what OS_CLOUD says."
    )
    config_file: str = Field(default="", description="A clouds.yaml of one's own; empty for the usual places.")
    region: str = Field(default="", description="Region of the cloud, in place of the site's `region`.")
    interface: Literal["public", "internal", "admin"] = Field(
        default="public", description="Which of a service's addresses to use."
    )
    external_network: str = Field(
        default="",
        description="Where floating addresses come from and routers lead to; empty for the only external network.",
    )
    cache_s: float = Field(
        default=300.0, ge=0, description="How long names of images, flavours and networks are believed, s."
    )


class ServerGroupOptions(DriverOptions):
    """A server group: workers that shall be apart or together."""

    name: str
    policy: Literal["soft-anti-affinity", "anti-affinity", "soft-affinity", "affinity"] = "soft-anti-affinity"


class RequestOptions(DriverOptions):
    """Options of one server; a site's options may have them too, for all servers that do not say otherwise.

    ``first_attempt`` is set by a caller that knows that it has never asked for this server before: it saves the look
    whether it is there.
    """

    first_attempt: bool = False
    image_properties: dict[str, str] = Field(
        default_factory=dict,
        description='In place of `image`: the newest image with all of these properties, as `{"os_distro": "ubuntu"}`.',
    )
    public_key: str = Field(
        default="",
        description="An OpenSSH public key in place of `key`; it is imported under a name made from its fingerprint.",
    )
    config_drive: bool = Field(default=False, description="Hand user data over by a drive, too.")
    server_group: ServerGroupOptions | None = Field(
        default=None,
        description="Server group to be in, made where it is absent: `name`, and `policy` `soft-anti-affinity` (the "
        "default), `anti-affinity`, `soft-affinity` or `affinity`.",
    )
    boot_volume_gb: int = Field(
        default=0,
        ge=0,
        description="Boot from a volume of this size, GB, made from the image and deleted with the server; 0: from the "
        "flavour's own disk.",
    )
    scheduler_hints: dict[str, str] = Field(default_factory=dict, description="Sent along as they are.")
    metadata: dict[str, str] = Field(default_factory=dict, description="Sent along as they are.")
