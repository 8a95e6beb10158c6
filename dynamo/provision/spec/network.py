"""Networks, storage, circuits and scripts of a fleet spec; the fields of Mobius's requests are among their own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dynamo.provision.spec.marks import NotActedOn
from dynamo.provision.spec.types import (
    MOUNT_PATTERN,
    Address,
    BitsPerSecond,
    Cidr,
    LeaseTime,
    Part,
    Script,
    SiteName,
    Subnet,
    Url,
    Vlan,
    Whole,
    Word,
)

LINK_ACTIONS = ("add", "delete", "update")
_LEASE_START = "Not before: seconds since 1970, ISO 8601, or as `+2h`."
_LEASE_END = "Not after: seconds since 1970, ISO 8601, or as `+2h` after the start."
_LINK = NotActedOn(
    "no kind of site makes a link of two workers", case="of a link", only=lambda network: network.is_link
)
_ENDS = NotActedOn("no kind of site makes a link of two workers")
_NOT_MADE = NotActedOn(
    "the network is the site's own, a link, or a leased VLAN",
    case="unless the action is `create`, without `physicalNetwork`",
    only=lambda network: network.action != "create" or network.physical_network is not None,
)
_NO_VOLUMES = NotActedOn("no volumes are made there", ("local", "simulated"))
_NO_CIRCUIT = NotActedOn(
    "no circuits are had there, and groups of that site get no workers", ("local", "openstack", "simulated")
)


class NetworkSpec(Part):
    """A network of a site (`name`, `site`), or as Mobius has it a link of two workers (`source`, `destination`)."""

    ALSO: ClassVar[dict[str, str]] = {"bandwidth_mbit": "bandwidth", "external_network": "externalNetwork"}

    name: Annotated[Word | None, Field(description="Name of the network, as groups use it.")] = None
    site: Annotated[SiteName | None, Field(description="Site that it is at.")] = None
    action: Annotated[
        Literal["create", "use", "add", "delete", "update"],
        NotActedOn(
            "no networks are made there, and groups of that site get no workers",
            ("local", "simulated"),
            case="if `create`",
            only=lambda network: network.action == "create",
        ),
        NotActedOn(
            "only Chameleon leases VLANs, and groups of that site get no workers",
            ("openstack",),
            case="if `create` with `physicalNetwork`",
            only=lambda network: network.action == "create" and network.physical_network is not None,
        ),
        _LINK,
        Field(description="A network: `create` it, or `use` the site's. A link (Mobius): `add`, `delete`, `update`."),
    ] = "use"
    cidr: Annotated[Cidr | None, _NOT_MADE, Field(description="Addresses, as 10.20.0.0/24; needed to create one.")] = (
        None
    )
    bandwidth_mbit: Annotated[
        int | None,
        _NOT_MADE,
        Field(alias="bandwidth", ge=1, le=10**7, description="Limit for each worker's interface, Mbit per second."),
    ] = None
    router: Annotated[
        Word | None,
        NotActedOn("a router is made for each network"),
        Field(description="Router of the site to join it to; without it one is made."),
    ] = None
    external_network: Annotated[
        Word | None, _NOT_MADE, Field(alias="externalNetwork", description="Network by which it reaches the world.")
    ] = None
    physical_network: Annotated[
        Word | None,
        NotActedOn(
            "the network is the site's own, or a link",
            case="unless the action is `create`",
            only=lambda network: network.action != "create",
        ),
        Field(alias="physicalNetwork", description="Physical network under it (Chameleon)."),
    ] = None
    vlan: Annotated[
        Vlan | None,
        NotActedOn(
            "the site chooses it",
            case="unless the action is `create`, with `physicalNetwork`",
            only=lambda network: network.action != "create" or network.physical_network is None,
        ),
        Field(description="VLAN of it, where the site lets one choose."),
    ] = None
    source: Annotated[Word | None, _ENDS, Field(description="Mobius: name of the worker where the link begins.")] = None
    source_ip: Annotated[Address | None, _ENDS, Field(alias="sourceIP", description="Mobius: address of it.")] = None
    source_subnet: Annotated[Subnet | None, _ENDS, Field(alias="sourceSubnet", description="Mobius: subnet of it.")] = (
        None
    )
    source_local_subnet: Annotated[
        Subnet | None, _ENDS, Field(alias="sourceLocalSubnet", description="Mobius: subnet behind it.")
    ] = None
    destination: Annotated[Word | None, _ENDS, Field(description="Mobius: name of the worker where the link ends.")] = (
        None
    )
    destination_ip: Annotated[
        Address | None, _ENDS, Field(alias="destinationIP", description="Mobius: address of it.")
    ] = None
    destination_subnet: Annotated[
        Subnet | None, _ENDS, Field(alias="destinationSubnet", description="Mobius: subnet of it.")
    ] = None
    sdx_controller_ip: Annotated[
        Address | None, _ENDS, Field(alias="chameleonSdxControllerIP", description="Mobius: the exchange's controller.")
    ] = None
    link_speed_bps: Annotated[
        BitsPerSecond | None,
        _ENDS,
        Field(alias="linkSpeed", description="Mobius: bandwidth of the link, bits per second."),
    ] = None
    qos: Annotated[
        Word | None,
        NotActedOn("no policies of sites are used; `bandwidth` of a network that is made is a limit"),
        Field(description="Mobius: quality of service; here the site's policy by name."),
    ] = None
    lease_start: Annotated[
        LeaseTime | None,
        NotActedOn("a network lives as long as its fleet"),
        Field(alias="leaseStart", description=_LEASE_START),
    ] = None
    lease_end: Annotated[
        LeaseTime | None,
        NotActedOn("a network lives as long as its fleet"),
        Field(alias="leaseEnd", description=_LEASE_END),
    ] = None

    @property
    def is_link(self) -> bool:
        """Whether it is a link of two workers, not a network of a site."""
        return self.source is not None or self.destination is not None


class StorageSpec(Part):
    """A volume for a worker; the fields are Mobius's."""

    mount_point: Annotated[
        str,
        NotActedOn("the volume is attached, a script has to mount it"),
        Field(alias="mountPoint", pattern=MOUNT_PATTERN, description="Where it is mounted on the worker."),
    ]
    target: Annotated[
        Word, _NO_VOLUMES, Field(description="The worker, or a group: one volume for each of its workers.")
    ]
    size_gb: Annotated[Whole, Field(alias="size", ge=1, le=1_000_000, description="Size, GB.")]
    action: Annotated[
        Literal["add", "delete", "renew"], Field(description="`add` it, `delete` it, or `renew` its lease.")
    ] = "add"
    lease_start: Annotated[
        LeaseTime | None,
        NotActedOn("a volume lives as long as its fleet"),
        Field(alias="leaseStart", description=_LEASE_START),
    ] = None
    lease_end: Annotated[
        LeaseTime | None,
        NotActedOn("a volume lives as long as its fleet"),
        Field(alias="leaseEnd", description=_LEASE_END),
    ] = None


class StitchSpec(Part):
    """A layer 2 circuit to a worker; the fields are Mobius's.

    At Chameleon a VLAN towards FABRIC is leased at the worker's site, as the network `FLEET-stitch-TAG`; a group whose
    `network` is that one has its workers on it. Other kinds of sites have none.
    """

    target: Annotated[Word, _NO_CIRCUIT, Field(description="The worker to stitch, by name or address.")]
    port_url: Annotated[
        Url,
        NotActedOn("the VLAN leads to FABRIC; what it is joined to is arranged there"),
        Field(alias="portUrl", description="Port of the circuit."),
    ]
    tag: Annotated[Vlan, Field(description="VLAN of the circuit.")]
    stitch_ip: Annotated[
        Address | None,
        NotActedOn("a script of the worker has to set it"),
        Field(alias="stitchIP", description="Address of the worker's interface on the circuit."),
    ] = None
    bandwidth_bps: Annotated[
        BitsPerSecond | None,
        NotActedOn("the VLAN has what its site gives it"),
        Field(alias="bandwidth", description="Bandwidth of the circuit, bits per second."),
    ] = None


class ScriptSpec(Part):
    """A script to run on a worker; the fields are Mobius's."""

    target: Annotated[Word, Field(description="The worker, or a group.")]
    name: Annotated[
        Word,
        NotActedOn("scripts run in the order of the file at first boot; no event names them"),
        Field(description="Name of the script."),
    ]
    script: Annotated[
        Script,
        NotActedOn("simulated workers run no scripts", ("simulated",)),
        Field(description='The text, or {"file": "PATH"} beside the spec.'),
    ]


def concerns(target: str, group: str, worker: str) -> bool:
    """Tell whether a Mobius target means this worker: by its name, by its group, or as Mobius numbers names."""
    return target in (group, worker) or worker.startswith(f"{target}-") or target.rstrip("0123456789") == group
