"""One group of workers in a fleet spec; the fields of a Mobius compute request are among its own."""

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
    "it is of a private network",
    case="unless `networkType` is private",
    only=lambda group: group.network_type != "private",
)
_LEASED = NotActedOn(
    "a leased VLAN has what its site gives it",
    case="with `physicalNetwork`",
    only=lambda group: group.network_type == "private" and group.physical_network is not None,
)
_CIRCUIT = "`physicalNetwork`, with `stitchTag`, has a VLAN leased towards FABRIC; the rest is arranged there"


class ComputeSpec(Part):
    """A group of like workers at one site. How many: `count`, or `cpus` in all; what size: `flavour`, or by need."""

    ALSO: ClassVar[dict[str, str]] = {
        "forceflavor": "flavour",
        "flavor": "flavour",
        "imageName": "image",
        "keyName": "key",
        "cost_per_hour": "costPerHour",
    }

    site: Annotated[SiteName, Field(description="Site, as `Cloud:Region`.")]
    name: Annotated[
        Name, Field(description="Name of the group. Without it `hostNamePrefix`, else the site, numbered if taken.")
    ] = ""
    count: Annotated[int | None, Field(ge=0, le=MAX_WORKERS, description="How many workers are wanted.")] = None
    cpus: Annotated[
        Whole | None,
        Field(ge=0, le=MAX_CPUS, description="Processors wanted in all; the workers are as many as that takes."),
    ] = None
    min: Annotated[int, Field(ge=0, le=MAX_WORKERS, description="Never fewer workers than this.")] = 0
    max: Annotated[
        int | None,
        Field(ge=0, le=MAX_WORKERS, description="Never more workers than this; without it the site's `max_workers`."),
    ] = None
    gpus: Annotated[Whole, Field(ge=0, le=MAX_CPUS, description="GPUs wanted in all.")] = 0
    flavour: Annotated[
        Word | None, Field(description="Size of the servers by name; Mobius says `forceflavor`. Without it, by need.")
    ] = None
    worker_cpus: Annotated[
        int, Field(alias="workerCpus", ge=1, le=10_000, description="Processors that each worker needs at least.")
    ] = 1
    worker_ram_mb: Annotated[
        int, Field(alias="workerRamMb", ge=0, le=10**9, description="Memory that each worker needs at least, MB.")
    ] = 0
    worker_disk_gb: Annotated[
        int, Field(alias="workerDiskGb", ge=0, le=10**7, description="Disk that each worker needs at least, GB.")
    ] = 0
    ram_per_cpu_mb: Annotated[
        Whole, Field(alias="ramPerCpus", ge=0, le=10**8, description="Memory for each processor, MB.")
    ] = 0
    disk_per_cpu_mb: Annotated[
        Whole, Field(alias="diskPerCpus", ge=0, le=10**10, description="Disk for each processor, MB.")
    ] = 0
    coallocate: Annotated[YesNo, Field(description="All `cpus` on one worker, not spread over several.")] = False
    lease_start: Annotated[
        LeaseTime | None,
        Field(
            alias="leaseStart",
            description="Not before: seconds since 1970, ISO 8601, or as `+2h` after it is applied. Without it now.",
        ),
    ] = None
    lease_end: Annotated[
        LeaseTime | None,
        Field(
            alias="leaseEnd",
            description="Not after: seconds since 1970, ISO 8601, or as `+2h` after the start. Without it no end.",
        ),
    ] = None
    image: Annotated[
        PathWord | None, _LOCAL, _SIMULATED, Field(description="Image by name or id; Mobius says `imageName`.")
    ] = None
    image_url: Annotated[
        Url | None,
        NotActedOn("images are those of the site, by `image`"),
        Field(alias="imageUrl", description="Where the image is got from."),
    ] = None
    image_hash: Annotated[
        str | None,
        NotActedOn("images are those of the site, by `image`"),
        Field(alias="imageHash", pattern=r"^[0-9A-Fa-f]{8,128}$", description="Hash of the image at `imageUrl`."),
    ] = None
    key: Annotated[Word | None, _LOCAL, _SIMULATED, Field(description="SSH key pair by its name at the site.")] = None
    network: Annotated[
        Word | None,
        _LOCAL,
        _SIMULATED,
        Field(description="An entry of `network`, or a network of the site by its name."),
    ] = None
    security_groups: Annotated[
        tuple[Word, ...],
        _LOCAL,
        _SIMULATED,
        Field(alias="securityGroups", strict=False, max_length=50, description="Security groups by name."),
    ] = ()
    availability_zone: Annotated[
        Word | None,
        _LOCAL,
        _SIMULATED,
        Field(alias="availabilityZone", description="Part of the site to use, by its name."),
    ] = None
    floating_ip: Annotated[
        bool,
        _LOCAL,
        _SIMULATED,
        Field(alias="floatingIp", description="Give each worker a public address; workers do not need one."),
    ] = False
    post_boot_script: Annotated[
        Script,
        NotActedOn("simulated workers run no scripts", ("simulated",)),
        Field(
            alias="postBootScript",
            description='Script run at first boot, before HTCondor: the text, or {"file": "PATH"} beside the spec.',
        ),
    ] = ""
    host_name_prefix: Annotated[
        HostPrefix | None, Field(alias="hostNamePrefix", description="What the names of the workers begin with.")
    ] = None
    options: Annotated[
        dict[str, Any],
        Field(max_length=100, description="What only the site's driver understands, for servers of this group."),
    ] = Field(default_factory=dict)
    cost_per_hour: Annotated[
        float | None,
        Field(
            alias="costPerHour", ge=0, le=10**6, description="Cost of one worker for an hour, in the budget's currency."
        ),
    ] = None
    slice_policy: Annotated[
        Literal["new", "existing", "default"],
        NotActedOn("there are no slices: a group is one"),
        Field(
            alias="slicePolicy", description="Mobius: into a new slice, the one called `sliceName`, or by lease end."
        ),
    ] = "default"
    slice_name: Annotated[
        Word | None,
        NotActedOn("there are no slices; Mobius's status shows the name"),
        Field(alias="sliceName", description="Mobius: the slice of `slicePolicy` existing."),
    ] = None
    ip_address: Annotated[
        Address | None,
        NotActedOn("the site gives the addresses"),
        Field(alias="ipAddress", description="Address inside the network, where there is one worker only."),
    ] = None
    bandwidth_bps: Annotated[
        BitsPerSecond | None,
        _PRIVATE_ONLY,
        _LEASED,
        Field(alias="bandwidth", description="Bandwidth of the workers' interface, bits per second."),
    ] = None
    network_type: Annotated[
        Literal["private", "default"],
        NotActedOn(
            "no networks are made there, and the group gets no workers",
            ("local", "simulated"),
            case="if private",
            only=lambda group: group.network_type == "private",
        ),
        NotActedOn(
            "only Chameleon leases VLANs, and the group gets no workers",
            ("openstack",),
            case="if private with `physicalNetwork`",
            only=lambda group: group.network_type == "private" and group.physical_network is not None,
        ),
        Field(
            alias="networkType", description="A private network of the fleet, made once for each site, or the site's."
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
        Field(alias="externalNetwork", description="Network by which a private one reaches the world."),
    ] = None
    network_cidr: Annotated[
        Cidr | None,
        _PRIVATE_ONLY,
        _LEASED,
        Field(alias="networkCidr", description="Addresses of a private network, as 192.168.100.0/24."),
    ] = None
    vpc_cidr: Annotated[
        Cidr | None,
        NotActedOn("no kind of site is AWS"),
        Field(alias="vpcCidr", description="Mobius: addresses of an AWS VPC."),
    ] = None
    stitch_port_url: Annotated[
        Url | None,
        NotActedOn(_CIRCUIT),
        Field(alias="stitchPortUrl", description="Port of a layer 2 circuit to stitch the workers to."),
    ] = None
    stitch_tag: Annotated[
        Vlan | None,
        NotActedOn(
            "it is of a leased VLAN",
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
        """Return begin and end of the lease, if it were applied at ``now``."""
        start = now if self.lease_start is None else self.lease_start.at(now)
        return start, None if self.lease_end is None else self.lease_end.at(start)

    @property
    def need(self) -> FlavorNeed:
        """What each worker must have, where no flavour is named."""
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
        """Return the flavor of the group: the named one, else by `need`; raises `NotFoundError`."""
        if self.flavour is not None:
            return named(flavors, self.flavour, where=self.site)
        return choose(flavors, self.need, where=self.site)

    def wanted_workers(self, flavor: Flavor) -> int:
        """Return how many workers of ``flavor`` the group wants, between `min` and `max`."""
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
