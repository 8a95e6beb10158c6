"""Seeds the sandbox and waits for its parts, through the public APIs only.

`up.sh` runs it with the sandbox's own Python: ``bootstrap.py identity|computes|resources|fresh|health``.
"""

from __future__ import annotations

import calendar
import io
import os
import sys
import time
from pathlib import Path
from typing import Any

import openstack
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

STATE = Path(os.environ["OPENSTACK_SANDBOX_STATE"])
COMPUTES = os.environ["COMPUTES"].split()
REGIONS = ("CHI@UC", "KVM@TACC")
SERVICE_PASSWORD = "sandbox"
WAIT_S = 90.0
SERVICES = (
    ("keystone", "identity", "http://127.0.0.1:25000/v3"),
    ("placement", "placement", "http://127.0.0.1:28778"),
    ("glance", "image", "http://127.0.0.1:29292"),
    ("nova", "compute", "http://127.0.0.1:28774/v2.1"),
    ("neutron", "network", "http://127.0.0.1:29696"),
    ("blazar", "reservation", "http://127.0.0.1:21234/v1"),
)
# Name, memory (MiB), cores, disk (GB); as KVM@TACC and Jetstream2 name them. Nothing can hold the last.
FLAVORS = (
    ("m1.tiny", 512, 1, 1),
    ("m1.small", 2048, 1, 20),
    ("m1.medium", 4096, 2, 40),
    ("m1.large", 8192, 4, 40),
    ("m1.xlarge", 16384, 8, 40),
    ("m3.tiny", 3072, 1, 20),
    ("m3.large", 61440, 16, 60),
    ("baremetal", 65536, 24, 200),
    ("impossible", 1024, 4000, 1),
)


def connect(cloud: str = "uc-admin") -> Any:
    """A connection; untyped, because the SDK of the sandbox's release is."""
    return openstack.connect(cloud=cloud)


def identity() -> None:
    """Regions, roles, projects, users, and the catalog."""
    identity = connect().identity
    known_regions = {region.id for region in identity.regions()}
    for region in REGIONS:
        if region not in known_regions:
            identity.create_region(id=region, description=region)
    roles = {role.name: role for role in identity.roles()}
    for name in ("service", "member"):
        if name not in roles:
            roles[name] = identity.create_role(name=name)
    projects = {
        name: identity.find_project(name) or identity.create_project(name=name, domain_id="default")
        for name in ("service", "demo")
    }

    def user(name: str, project: str, *role_names: str) -> None:
        found = identity.find_user(name) or identity.create_user(
            name=name, password=SERVICE_PASSWORD, domain_id="default", default_project_id=projects[project].id
        )
        for role in role_names:
            identity.assign_project_role_to_user(projects[project], found, roles[role])

    for name, _, _ in SERVICES[1:]:
        user(name, "service", "admin", "service")
    user("demo", "demo", "member")
    known = {service.type: service for service in identity.services()}
    endpoints = {(end.service_id, end.region_id, end.interface) for end in identity.endpoints()}
    for name, kind, url in SERVICES:
        service = known.get(kind) or identity.create_service(name=name, type=kind)
        for region in REGIONS:
            for interface in ("public", "internal", "admin"):
                if (service.id, region, interface) not in endpoints:
                    identity.create_endpoint(service_id=service.id, region_id=region, interface=interface, url=url)


def computes() -> None:
    """Wait until nova and placement know every compute node."""
    cloud = connect()
    end = time.monotonic() + WAIT_S
    missing: set[str] = set(COMPUTES)
    while missing:
        if time.monotonic() > end:
            sys.exit(f"computes missing: {sorted(missing)}")
        try:
            up = {service.host for service in cloud.compute.services(binary="nova-compute") if service.state == "up"}
            missing = set(COMPUTES) - (up & {provider.name for provider in cloud.placement.resource_providers()})
        except (SDKException, ClientException):
            pass  # still starting
        time.sleep(0.3)


def resources() -> None:
    """Flavours, an image, networks, quotas; the nodes named uc-* become Blazar's."""
    cloud = connect()
    # First, while no server can be made for want of a flavour: Blazar refuses a host that holds servers.
    if not any(aggregate.name == "freepool" for aggregate in cloud.compute.aggregates()):
        cloud.compute.create_aggregate(name="freepool")
    where = {"service_type": "reservation", "region_name": REGIONS[0], "interface": "public"}
    hosts = cloud.session.get("/os-hosts", endpoint_filter=where).json()["hosts"]
    reservable = {host["hypervisor_hostname"] for host in hosts}
    for name in COMPUTES:
        if name.startswith("uc-") and name not in reservable:
            cloud.session.post("/os-hosts", endpoint_filter=where, json={"name": name, "node_type": "compute_skylake"})
    for name, memory_mib, cores, disk_gb in FLAVORS:
        if not cloud.compute.find_flavor(name):
            cloud.compute.create_flavor(name=name, ram=memory_mib, vcpus=cores, disk=disk_gb)
    if not cloud.image.find_image("CC-Ubuntu22.04"):
        cloud.create_image(
            "CC-Ubuntu22.04", data=io.BytesIO(b"sandbox" * 1000), disk_format="raw", container_format="bare",
            visibility="public", wait=True, allow_duplicates=False, validate_checksum=False,
        )  # fmt: skip
    network = cloud.network
    public = network.find_network("public")
    if not public:
        public = network.create_network(
            name="public", is_router_external=True, provider_network_type="flat", provider_physical_network="public"
        )
        network.create_subnet(
            network_id=public.id, ip_version=4, cidr="203.0.112.0/20", gateway_ip="203.0.112.1", is_dhcp_enabled=False,
            name="public-subnet",
        )  # fmt: skip
    if not network.find_network("sharednet1"):
        shared = network.create_network(name="sharednet1", is_shared=True)
        subnet = network.create_subnet(
            network_id=shared.id, ip_version=4, cidr="10.140.0.0/16", name="sharednet1-subnet"
        )
        router = network.create_router(name="router1", external_gateway_info={"network_id": public.id})
        network.add_interface_to_router(router, subnet_id=subnet.id)
    # Nova's own default is 10 servers.
    cloud.set_compute_quotas("demo", instances=1000, cores=-1, ram=-1, server_groups=100, server_group_members=-1)


def fresh() -> None:
    """Wait until each nova service has reported since it was started: only then is its RPC queue read."""
    since = {path.stem: path.stat().st_mtime for path in (STATE / "run").glob("nova-*.pid")}
    since.pop("nova-api", None)
    cloud = connect()
    end = time.monotonic() + WAIT_S
    while True:
        heard: dict[str, int] = {}
        for service in cloud.compute.services():
            name = service.binary + (f"-{service.host}" if service.binary == "nova-compute" else "")
            if service.updated_at:
                heard[name] = calendar.timegm(time.strptime(service.updated_at[:19], "%Y-%m-%dT%H:%M:%S"))
        silent = [name for name, began in since.items() if heard.get(name, 0) < began + 1]
        if not silent:
            return
        if time.monotonic() > end:
            sys.exit(f"services silent: {silent}")
        time.sleep(0.3)


def health() -> None:
    """Ask every API once; say what is there."""
    for name in ("uc", "tacc"):
        cloud = connect(name)
        where = {"service_type": "reservation", "region_name": cloud.config.region_name, "interface": "public"}
        leases = cloud.session.get("/leases", endpoint_filter=where).json()["leases"]
        counts = {
            "flavors": len(list(cloud.compute.flavors())),
            "images": len(list(cloud.image.images())),
            "networks": len(list(cloud.network.networks())),
            "leases": len(leases),
        }
        sys.stdout.write(f"{cloud.config.region_name}: {', '.join(f'{n} {what}' for what, n in counts.items())}\n")


if __name__ == "__main__":
    {"identity": identity, "computes": computes, "resources": resources, "fresh": fresh, "health": health}[
        sys.argv[1]
    ]()
