"""How long servers take through the driver, beside bare SDK threads, in the same run on the same cloud.

    python -m benchmarks.openstack_servers --servers 100 --cloud uc

Each round makes the servers and waits until all are ACTIVE, by one listing for all; the deletion between rounds is not
counted. Rounds of the two alternate, because a control plane grows slower with use.
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dynamo.provision.sites.base import FLEET_TAG, GROUP_TAG, WORKER_TAG, Flavor, ServerRequest, SiteContext
from dynamo.provision.sites.openstack.site import OpenStackSite

USER_DATA = "#!/bin/sh\nexec sleep 600\n"
THREADS = 8
POLL_S = 0.5
PATIENCE_S = 900.0


def bare_sdk(arguments: argparse.Namespace, fleet: str) -> float:
    """Make servers as a script of a few lines would; return seconds until all are ACTIVE."""
    import openstack

    connections = [openstack.connect(cloud=arguments.cloud) for _ in range(THREADS)]
    first = connections[0]
    image = first.image.find_image(arguments.image, ignore_missing=False)
    flavor = first.compute.find_flavor(arguments.flavor, ignore_missing=False)
    network = first.network.find_network(arguments.network, ignore_missing=False)
    for connection in connections:
        connection.compute.get("/limits")

    def make(number: int) -> None:
        connections[number % THREADS].compute.create_server(
            name=f"{fleet}-{number}",
            flavor_id=flavor.id,
            image_id=image.id,
            networks=[{"uuid": network.id}],
            user_data=base64.b64encode(USER_DATA.encode()).decode(),
            metadata={FLEET_TAG: fleet},
        )

    def states() -> Sequence[str]:
        return [server.status.lower() for server in first.compute.servers(details=True, name=f"^{fleet}-")]

    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(make, range(arguments.servers)))
    wait(states, arguments.servers)
    taken = time.perf_counter() - start
    end_all(first, fleet)
    for connection in connections:
        connection.close()
    return taken


def driver(arguments: argparse.Namespace, fleet: str, *, first_attempt: bool) -> float:
    """Make servers through the driver; return seconds until all are ACTIVE."""
    with tempfile.TemporaryDirectory() as folder:
        site = OpenStackSite(
            SiteContext(site="bench:mark", options={"cloud": arguments.cloud}, state=Path(folder), timeout_s=120)
        )
        site.quota()

        def make(number: int) -> None:
            name = f"{fleet}-{number}"
            site.create(
                ServerRequest(
                    name=name,
                    tags={FLEET_TAG: fleet, WORKER_TAG: name, GROUP_TAG: "bench"},
                    flavor=Flavor(arguments.flavor, 1, 512, 1),
                    image=arguments.image,
                    network=arguments.network,
                    user_data=USER_DATA,
                    options={"first_attempt": first_attempt},
                )
            )

        start = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(make, range(arguments.servers)))
        wait(lambda: [str(server.status) for server in site.list(fleet)], arguments.servers)
        taken = time.perf_counter() - start
        with site.access.use("end all") as connection:
            end_all(connection, fleet)
        site.close()
    return taken


def wait(states: Callable[[], Sequence[str]], count: int) -> None:
    """Poll until ``count`` servers are active."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = states()
        if sum(state == "active" for state in found) == count:
            return
        if "error" in found or time.monotonic() > deadline:
            sys.exit(f"the servers do not become ACTIVE: { {state: found.count(state) for state in set(found)} }")
        time.sleep(POLL_S)


def end_all(connection: Any, fleet: str) -> None:
    """Delete the round's servers and wait until they are gone."""

    def mine() -> list[Any]:
        return list(connection.compute.servers(details=False, name=f"^{fleet}-"))

    for server in mine():
        connection.compute.delete_server(server.id)
    while mine():
        time.sleep(POLL_S)


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--cloud", default="uc")
    parser.add_argument("--image", default="CC-Ubuntu22.04")
    parser.add_argument("--flavor", default="m1.tiny")
    parser.add_argument("--network", default="sharednet1")
    parser.add_argument("--look-first", action="store_true", help="look for an earlier attempt before each server")
    arguments = parser.parse_args()
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(arguments.rounds):
        bare.append(bare_sdk(arguments, f"bench-{secrets.token_hex(3)}"))
        ours.append(driver(arguments, f"bench-{secrets.token_hex(3)}", first_attempt=not arguments.look_first))
    result = {
        "servers": arguments.servers,
        "threads": THREADS,
        "bare_sdk_s": [round(value, 2) for value in bare],
        "driver_s": [round(value, 2) for value in ours],
        "ratio": round(statistics.median(ours) / statistics.median(bare), 3),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
