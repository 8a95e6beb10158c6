"""A fleet in the sandbox for one test: drivers, requests, and the removal of everything."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamo.provision.sites.base import FLEET_TAG, GROUP_TAG, WORKER_TAG, Flavor, ServerRequest, SiteContext
from dynamo.provision.sites.chameleon.site import ChameleonSite
from dynamo.provision.sites.errors import SiteError
from dynamo.provision.sites.openstack.site import OpenStackSite
from tests.openstack.sandbox import Sandbox

LEASED_HOSTS = ("uc-node-1", "uc-node-2")
NODE_TYPE = "compute_skylake"


@dataclass
class Fleet:
    """What one test makes."""

    sandbox: Sandbox
    id: str
    folder: Path
    _sites: list[OpenStackSite | ChameleonSite] = field(default_factory=list)

    def context(self, site: str, options: dict[str, object], timeout_s: float) -> SiteContext:
        given = {"cloud": "uc", "config_file": str(self.sandbox.clouds_yaml), **options}
        return SiteContext(site=site, options=given, state=self.folder, timeout_s=timeout_s)

    def openstack(self, *, timeout_s: float = 60.0, **options: object) -> OpenStackSite:
        site = OpenStackSite(self.context("Chameleon:CHI@UC", options, timeout_s))
        self._sites.append(site)
        return site

    def chameleon(self, *, timeout_s: float = 60.0, **options: object) -> ChameleonSite:
        site = ChameleonSite(self.context("Chameleon:CHI@UC", options, timeout_s))
        self._sites.append(site)
        return site

    def request(self, worker: str, **changes: Any) -> ServerRequest:
        name = f"{self.id}-{worker}"
        flavor = changes.pop("flavor", "m1.tiny")
        values: dict[str, Any] = {
            "name": name,
            "tags": {FLEET_TAG: self.id, WORKER_TAG: name, GROUP_TAG: "g"},
            "flavor": Flavor(flavor, 1, 512, 1),
            "image": "CC-Ubuntu22.04",
            "network": "sharednet1",
            "user_data": "#!/bin/sh\nexec sleep 600\n",
        }
        return ServerRequest(**{**values, **changes})

    def need_hosts(self) -> None:
        """Give the nodes for leases to Blazar, as the site's staff does once."""
        connection = self.sandbox.admin
        client = self.blazar(connection)
        known = {host["hypervisor_hostname"] for host in client.host.list()}
        for name in LEASED_HOSTS:
            if name not in known:
                client.host.create(name=name, node_type=NODE_TYPE)

    def blazar(self, connection: Any) -> Any:
        from importlib import import_module

        return import_module("blazarclient.client").Client(
            1,
            service_type="reservation",
            session=connection.session,
            region_name=connection.config.region_name,
            interface="public",
        )

    def clean(self, timeout_s: float = 60.0) -> None:
        """Remove all that is the fleet's, by the drivers' own means, and let go of connections."""
        site = self.chameleon()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with suppress(SiteError):
                servers = site.list(self.id)
                if not servers:
                    break
                for server in servers:
                    site.delete(server.id)
            time.sleep(0.3)
        site.sweep(self.id, ())
        for made in self._sites:
            made.close()


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
