"""Networks, storage, circuits and scripts of a fleet spec, including the fields of Mobius's requests."""

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
_LEASE_START = "Start: seconds since 1970, ISO 8601, or e.g. `+2h`."
_LEASE_END = "End: seconds since 1970, ISO 8601, or e.g. `+2h` after the start."
_LINK = NotActedOn("no kind of site can link two workers", case="for a link", only=lambda network: network.is_link)
_ENDS = NotActedOn("no kind of site can link two workers")
_NOT_MADE = NotActedOn(
    "the network is the site's own, a link, or a leased VLAN",
    case="unless the action is `create`, without `physicalNetwork`",
    only=lambda network: network.action != "create" or network.physical_network is not None,
)
_NO_VOLUMES = NotActedOn("volumes cannot be created there", ("local", "simulated"))
_NO_CIRCUIT = NotActedOn(
    "circuits are unavailable there, so the site's groups get no workers", ("local", "openstack", "simulated")
)


class NetworkSpec(Part):
    """A network at a site (`name`, `site`), or Mobius's link between two workers (`source`, `destination`)."""

    ALSO: ClassVar[dict[str, str]] = {"bandwidth_mbit": "bandwidth", "external_network": "externalNetwork"}

    name: Annotated[Word | None, Field(description="Network name, as used by groups.")] = None
    site: Annotated[SiteName | None, Field(description="Site of the network.")] = None
    action: Annotated[
        Literal["create", "use", "add", "delete", "update"],
        NotActedOn(
            "networks cannot be created there, so the site's groups get no workers",
            ("local", "simulated"),
            case="if `create`",
            only=lambda network: network.action == "create",
        ),
        NotActedOn(
            "only Chameleon leases VLANs, so the site's groups get no workers",
            ("openstack",),
            case="if `create` with `physicalNetwork`",
            only=lambda network: network.action == "create" and network.physical_network is not None,
        ),
        _LINK,
        Field(description="Network: `create` one or `use` the site's. Link (Mobius): `add`, `delete`, `update`."),
    ] = "use"
    cidr: Annotated[
        Cidr | None, _NOT_MADE, Field(description="Addresses, e.g. 10.20.0.0/24; required to create one.")
    ] = None
    bandwidth_mbit: Annotated[
        int | None,
        _NOT_MADE,
        Field(alias="bandwidth", ge=1, le=10**7, description="Limit per worker interface, Mbit per second."),
    ] = None
    router: Annotated[
        Word | None,
        NotActedOn("a router is created for each network"),
        Field(description="Router at the site to connect it to. Default: create one."),
    ] = None
    external_network: Annotated[
        Word | None, _NOT_MADE, Field(alias="externalNetwork", description="Network that connects it to the outside.")
    ] = None
    physical_network: Annotated[
        Word | None,
        NotActedOn(
            "the network is the site's own, or a link",
            case="unless the action is `create`",
            only=lambda network: network.action != "create",
        ),
        Field(alias="physicalNetwork", description="Underlying physical network (Chameleon)."),
    ] = None
    vlan: Annotated[
        Vlan | None,
        NotActedOn(
            "the site chooses it",
            case="unless the action is `create`, with `physicalNetwork`",
            only=lambda network: network.action != "create" or network.physical_network is None,
        ),
        Field(description="VLAN, if the site allows a choice."),
    ] = None
    source: Annotated[Word | None, _ENDS, Field(description="Mobius: name of the worker where the link starts.")] = None
    source_ip: Annotated[Address | None, _ENDS, Field(alias="sourceIP", description="Mobius: its address.")] = None
    source_subnet: Annotated[Subnet | None, _ENDS, Field(alias="sourceSubnet", description="Mobius: its subnet.")] = (
        None
    )
    source_local_subnet: Annotated[
        Subnet | None, _ENDS, Field(alias="sourceLocalSubnet", description="Mobius: subnet behind it.")
    ] = None
    destination: Annotated[Word | None, _ENDS, Field(description="Mobius: name of the worker where the link ends.")] = (
        None
    )
    destination_ip: Annotated[
        Address | None, _ENDS, Field(alias="destinationIP", description="Mobius: its address.")
    ] = None
    destination_subnet: Annotated[
        Subnet | None, _ENDS, Field(alias="destinationSubnet", description="Mobius: its subnet.")
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
        NotActedOn("site policies are not used; limit a created network with `bandwidth`"),
        Field(description="Mobius: quality of service; here the name of the site's policy."),
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
        """Whether it links two workers, rather than being a network at a site."""
        return self.source is not None or self.destination is not None


class StorageSpec(Part):
    """A volume for a worker, with Mobius's fields."""

    mount_point: Annotated[
        str,
        NotActedOn("the volume is only attached; mount it with a script"),
        Field(alias="mountPoint", pattern=MOUNT_PATTERN, description="Mount point on the worker."),
    ]
    target: Annotated[
        Word, _NO_VOLUMES, Field(description="A worker, or a group (one volume for each of its workers).")
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
    """A layer-2 circuit to a worker, with Mobius's fields.

    Chameleon leases a VLAN to FABRIC at the worker's site, as the network `FLEET-stitch-TAG`; workers of a group whose
    `network` names it are on it. Other kinds of sites have no circuits.
    """

    target: Annotated[Word, _NO_CIRCUIT, Field(description="Name or address of the worker to stitch.")]
    port_url: Annotated[
        Url,
        NotActedOn("the VLAN leads to FABRIC; arrange the rest of the circuit there"),
        Field(alias="portUrl", description="Port of the circuit."),
    ]
    tag: Annotated[Vlan, Field(description="VLAN of the circuit.")]
    stitch_ip: Annotated[
        Address | None,
        NotActedOn("set it with a script on the worker"),
        Field(alias="stitchIP", description="Address of the worker's interface on the circuit."),
    ] = None
    bandwidth_bps: Annotated[
        BitsPerSecond | None,
        NotActedOn("the site sets the VLAN's bandwidth"),
        Field(alias="bandwidth", description="Bandwidth of the circuit, bits per second."),
    ] = None


class ScriptSpec(Part):
    """A script to run on a worker, with Mobius's fields."""

    target: Annotated[Word, Field(description="A worker or a group.")]
    name: Annotated[
        Word,
        NotActedOn("scripts run at first boot, in file order; no event names them"),
        Field(description="Script name."),
    ]
    script: Annotated[
        Script,
        NotActedOn("simulated workers run no scripts", ("simulated",)),
        Field(description='The text, or {"file": "PATH"} next to the spec.'),
    ]


def concerns(target: str, group: str, worker: str) -> bool:
    """Return whether a Mobius target means this worker: by name, by group, or by Mobius's numbered name."""
    return target in (group, worker) or worker.startswith(f"{target}-") or target.rstrip("0123456789") == group
