"""One group of workers in a fleet spec, including the fields of a Mobius compute request."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from dynamo.provision.sites.base import Flavor
from dynamo.provision.sites.flavors import FlavorNeed, choose, named
from dynamo.provision.spec.marks import NotActedOn
from dynamo.provision.spec.types import (
    Address,
    BitsPerSecond,
    Cidr,
    HostPrefix,
    LeaseTime,
    Name,
    Part,
    PathWord,
    Script,
    SiteName,
    Url,
    Vlan,
    Whole,
    Word,
    YesNo,
)

MAX_WORKERS = 100_000
MAX_CPUS = 1_000_000
_LOCAL = NotActedOn("a worker there is a process of this machine", ("local",))
_SIMULATED = NotActedOn("a simulated worker has none", ("simulated",))
_PRIVATE_ONLY = NotActedOn(
    "it belongs to a private network",
    case="unless `networkType` is private",
    only=lambda group: group.network_type != "private",
)
_LEASED = NotActedOn(
    "the site sets the bandwidth of a leased VLAN",
    case="with `physicalNetwork`",
    only=lambda group: group.network_type == "private" and group.physical_network is not None,
)
_CIRCUIT = "`physicalNetwork` with `stitchTag` leases a VLAN to FABRIC; arrange the rest there"


class ComputeSpec(Part):
    """A group of identical workers at one site. Number: `count` or total `cpus`. Size: `flavour` or by requirements."""

    ALSO: ClassVar[dict[str, str]] = {
        "forceflavor": "flavour",
        "flavor": "flavour",
        "imageName": "image",
        "keyName": "key",
        "cost_per_hour": "costPerHour",
    }

    site: Annotated[SiteName, Field(description="Site name, `Cloud:Region`.")]
    name: Annotated[
        Name, Field(description="Group name. Default: `hostNamePrefix`, else the site, numbered if taken.")
    ] = ""
    count: Annotated[int | None, Field(ge=0, le=MAX_WORKERS, description="Number of workers.")] = None
    cpus: Annotated[
        Whole | None,
        Field(ge=0, le=MAX_CPUS, description="Total processors, across as many workers as needed."),
    ] = None
    min: Annotated[int, Field(ge=0, le=MAX_WORKERS, description="Minimum number of workers.")] = 0
    max: Annotated[
        int | None,
        Field(ge=0, le=MAX_WORKERS, description="Maximum number of workers. Default: the site's `max_workers`."),
    ] = None
    gpus: Annotated[Whole, Field(ge=0, le=MAX_CPUS, description="Total GPUs.")] = 0
    flavour: Annotated[
        Word | None, Field(description="Server size by name (Mobius: `forceflavor`). Default: chosen by requirements.")
    ] = None
    worker_cpus: Annotated[
        int, Field(alias="workerCpus", ge=1, le=10_000, description="Minimum processors per worker.")
    ] = 1
    worker_ram_mb: Annotated[
        int, Field(alias="workerRamMb", ge=0, le=10**9, description="Minimum memory per worker, MB.")
    ] = 0
    worker_disk_gb: Annotated[
        int, Field(alias="workerDiskGb", ge=0, le=10**7, description="Minimum disk per worker, GB.")
    ] = 0
    ram_per_cpu_mb: Annotated[
        Whole, Field(alias="ramPerCpus", ge=0, le=10**8, description="Memory per processor, MB.")
    ] = 0
    disk_per_cpu_mb: Annotated[
        Whole, Field(alias="diskPerCpus", ge=0, le=10**10, description="Disk per processor, MB.")
    ] = 0
    coallocate: Annotated[YesNo, Field(description="Put all `cpus` on one worker.")] = False
    lease_start: Annotated[
        LeaseTime | None,
        Field(
            alias="leaseStart",
            description="Start: seconds since 1970, ISO 8601, or e.g. `+2h` after the spec is applied. Default: now.",
        ),
    ] = None
    lease_end: Annotated[
        LeaseTime | None,
        Field(
            alias="leaseEnd",
            description="End: seconds since 1970, ISO 8601, or e.g. `+2h` after the start. Default: no end.",
        ),
    ] = None
    image: Annotated[
        PathWord | None, _LOCAL, _SIMULATED, Field(description="Image name or id (Mobius: `imageName`).")
    ] = None
    image_url: Annotated[
        Url | None,
        NotActedOn("images come from the site, see `image`"),
        Field(alias="imageUrl", description="URL of the image."),
    ] = None
    image_hash: Annotated[
        str | None,
        NotActedOn("images come from the site, see `image`"),
        Field(alias="imageHash", pattern=r"^[0-9A-Fa-f]{8,128}$", description="Hash of the image at `imageUrl`."),
    ] = None
    key: Annotated[Word | None, _LOCAL, _SIMULATED, Field(description="Name of an SSH key pair at the site.")] = None
    network: Annotated[
        Word | None,
        _LOCAL,
        _SIMULATED,
        Field(description="An entry of `network`, or the name of a network at the site."),
    ] = None
    security_groups: Annotated[
        tuple[Word, ...],
        _LOCAL,
        _SIMULATED,
        Field(alias="securityGroups", strict=False, max_length=50, description="Names of security groups."),
    ] = ()
    availability_zone: Annotated[
        Word | None,
        _LOCAL,
        _SIMULATED,
        Field(alias="availabilityZone", description="Availability zone to use."),
    ] = None
    floating_ip: Annotated[
        bool,
        _LOCAL,
        _SIMULATED,
        Field(alias="floatingIp", description="Give each worker a public address (not required by workers)."),
    ] = False
    post_boot_script: Annotated[
        Script,
        NotActedOn("simulated workers run no scripts", ("simulated",)),
        Field(
            alias="postBootScript",
            description='Script to run at first boot, before HTCondor: the text, or {"file": "PATH"} next to the spec.',
        ),
    ] = ""
    host_name_prefix: Annotated[
        HostPrefix | None, Field(alias="hostNamePrefix", description="Prefix of worker names.")
    ] = None
    options: Annotated[
        dict[str, Any],
        Field(max_length=100, description="Driver-specific options for servers of this group."),
    ] = Field(default_factory=dict)
    cost_per_hour: Annotated[
        float | None,
        Field(
            alias="costPerHour", ge=0, le=10**6, description="Cost of one worker per hour, in the budget's currency."
        ),
    ] = None
    slice_policy: Annotated[
        Literal["new", "existing", "default"],
        NotActedOn("there are no slices; each group acts as one"),
        Field(
            alias="slicePolicy", description="Mobius: use a new slice, the one named `sliceName`, or pick by lease end."
        ),
    ] = "default"
    slice_name: Annotated[
        Word | None,
        NotActedOn("there are no slices; the name appears in Mobius's status"),
        Field(alias="sliceName", description="Mobius: the slice for `slicePolicy` existing."),
    ] = None
    ip_address: Annotated[
        Address | None,
        NotActedOn("the site assigns addresses"),
        Field(alias="ipAddress", description="Address inside the network, for a group of one worker."),
    ] = None
    bandwidth_bps: Annotated[
        BitsPerSecond | None,
        _PRIVATE_ONLY,
        _LEASED,
        Field(alias="bandwidth", description="Bandwidth of each worker's interface, bits per second."),
    ] = None
    network_type: Annotated[
        Literal["private", "default"],
        NotActedOn(
            "networks cannot be created there, so the group gets no workers",
            ("local", "simulated"),
            case="if private",
            only=lambda group: group.network_type == "private",
        ),
        NotActedOn(
            "only Chameleon leases VLANs, so the group gets no workers",
            ("openstack",),
            case="if private with `physicalNetwork`",
            only=lambda group: group.network_type == "private" and group.physical_network is not None,
        ),
        Field(
            alias="networkType", description="A private network of the fleet, created once per site, or the site's own."
        ),
    ] = "default"
    physical_network: Annotated[
        Word | None,
        _PRIVATE_ONLY,
        Field(alias="physicalNetwork", description="Physical network under a private one (Chameleon)."),
    ] = None
    external_network: Annotated[
        PathWord | None,
        _PRIVATE_ONLY,
        _LEASED,
        Field(alias="externalNetwork", description="Network that connects a private one to the outside."),
    ] = None
    network_cidr: Annotated[
        Cidr | None,
        _PRIVATE_ONLY,
        _LEASED,
        Field(alias="networkCidr", description="Addresses of a private network, e.g. 192.168.100.0/24."),
    ] = None
    vpc_cidr: Annotated[
        Cidr | None,
        NotActedOn("AWS is not supported"),
        Field(alias="vpcCidr", description="Mobius: addresses of an AWS VPC."),
    ] = None
    stitch_port_url: Annotated[
        Url | None,
        NotActedOn(_CIRCUIT),
        Field(alias="stitchPortUrl", description="Port of a layer-2 circuit to stitch the workers to."),
    ] = None
    stitch_tag: Annotated[
        Vlan | None,
        NotActedOn(
            "it belongs to a leased VLAN",
            case="unless `networkType` is private, with `physicalNetwork`",
            only=lambda group: group.network_type != "private" or group.physical_network is None,
        ),
        Field(alias="stitchTag", description="VLAN of the circuit."),
    ] = None
    stitch_ip: Annotated[
        Address | None,
        NotActedOn(_CIRCUIT),
        Field(alias="stitchIP", description="Address of the worker's interface on the circuit."),
    ] = None
    stitch_bandwidth_bps: Annotated[
        BitsPerSecond | None,
        NotActedOn(_CIRCUIT),
        Field(alias="stitchBandwidth", description="Bandwidth of the circuit, bits per second."),
    ] = None

    def lease(self, now: datetime) -> tuple[datetime, datetime | None]:
        """Return start and end of the lease if the spec were applied at ``now``."""
        start = now if self.lease_start is None else self.lease_start.at(now)
        return start, None if self.lease_end is None else self.lease_end.at(start)

    @property
    def need(self) -> FlavorNeed:
        """Requirements of each worker if no flavor is named."""
        together = self.coallocate and self.cpus is not None
        cpus = max(self.worker_cpus, self.cpus or 1) if together else self.worker_cpus
        gpus = min(self.gpus, 1)
        if together:
            gpus = self.gpus
        elif self.count:
            gpus = -(-self.gpus // self.count)
        return FlavorNeed(
            cpus=cpus,
            ram_mb=self.worker_ram_mb,
            disk_gb=self.worker_disk_gb,
            gpus=gpus,
            ram_per_cpu_mb=self.ram_per_cpu_mb,
            disk_per_cpu_mb=self.disk_per_cpu_mb,
            most_cpus=max(cpus, self.cpus) if self.cpus is not None else None,
        )

    def pick_flavor(self, flavors: tuple[Flavor, ...] | list[Flavor]) -> Flavor:
        """Return the group's flavor: the named one, else chosen by `need`; raise `NotFoundError` if there is none."""
        if self.flavour is not None:
            return named(flavors, self.flavour, where=self.site)
        return choose(flavors, self.need, where=self.site)

    def wanted_workers(self, flavor: Flavor) -> int:
        """Return the number of workers of ``flavor`` requested, between `min` and `max`."""
        if self.count is not None:
            wanted = self.count
        elif self.cpus is None:
            wanted = 0
        elif self.coallocate:
            wanted = min(self.cpus, 1)
        else:
            wanted = -(-self.cpus // max(1, flavor.cpus))
            if self.gpus and flavor.gpus:
                wanted = max(wanted, -(-self.gpus // flavor.gpus))
        wanted = max(wanted, self.min)
        return wanted if self.max is None else min(wanted, self.max)
