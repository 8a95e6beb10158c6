"""What a site and a group of workers may say in ``options`` for OpenStack; unknown words are errors."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dynamo.errors import InputError


class Options(BaseModel):
    """Base of all options: strict about names, read from a mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, values: Mapping[str, object], *, where: str) -> Self:
        """Check ``values``.

        Raises
        ------
        InputError
            With the option's name, what was expected, and the nearest known name for one that is unknown.
        """
        (known,) = split_options(values, cls, where=where)
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(str(part) for part in first["loc"])
            raise InputError(f"option {path}: {first['msg'].lower()}", where=where) from None


def split_options(values: Mapping[str, object], *kinds: type[Options], where: str) -> list[dict[str, object]]:
    """Return the part of ``values`` that belongs to each kind, in their order.

    Raises
    ------
    InputError
        If a name belongs to none of them; the near miss is looked for among all.
    """
    known = sorted({name for kind in kinds for name in kind.model_fields})
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else None
            raise InputError(f"no option {name!r:.60}", where=where, expected=", ".join(known), hint=hint)
    return [{name: value for name, value in values.items() if name in kind.model_fields} for kind in kinds]


class SiteOptions(Options):
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


class ServerGroupOptions(Options):
    """A server group: workers that shall be apart or together."""

    name: str
    policy: Literal["soft-anti-affinity", "anti-affinity", "soft-affinity", "affinity"] = "soft-anti-affinity"


class RequestOptions(Options):
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
