"""How long servers take: N created by bare SDK calls on 8 threads, until all are ACTIVE, then deleted.

Run as ``python -m tests.openstack.measure [N] [user-data file]``; the sandbox must be up.
"""

from __future__ import annotations

import base64
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.openstack.sandbox import Sandbox

THREADS = 8


def measure(count: int, user_data: bytes) -> str:
    """Create and delete `count` servers; the figures as one line of text."""
    sandbox = Sandbox.running()
    cloud = sandbox.connect("uc")
    image = cloud.image.find_image("CC-Ubuntu22.04", ignore_missing=False)
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    network = cloud.network.find_network("sharednet1", ignore_missing=False)
    asked: dict[str, object] = {"user_data": base64.b64encode(user_data).decode()} if user_data else {}

    def create(number: int) -> None:
        cloud.compute.create_server(
            name=f"measure-{number}", flavor_id=flavor.id, image_id=image.id, networks=[{"uuid": network.id}], **asked
        )

    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(create, range(count)))
    called = time.perf_counter() - began
    while True:
        states = [server.status for server in cloud.compute.servers(name="^measure-")]
        if len(states) == count and "BUILD" not in states:
            break
        time.sleep(0.5)
    built = time.perf_counter() - began
    counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
    time.sleep(3)
    began = time.perf_counter()
    sandbox.delete_servers(prefix="measure-")
    deleted = time.perf_counter() - began
    return f"{count} servers: calls {called:.1f} s, built {built:.1f} s ({counts}), deleted {deleted:.1f} s"


def main() -> None:
    """Print one line."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    user_data = Path(sys.argv[2]).read_bytes() if len(sys.argv) > 2 else b""
    sys.stdout.write(measure(count, user_data) + "\n")


if __name__ == "__main__":
    main()
