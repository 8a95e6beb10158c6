"""The sandbox for tests of the site drivers; collected only with ``DYNAMO_TEST_OPENSTACK``, as in tests/openstack.

These tests remove only what they made: with ``DYNAMO_TEST_OPENSTACK=running`` they use a sandbox that is up as it is,
beside whatever else happens in it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dynamo.provision.sites.chameleon.site import ChameleonSite
from dynamo.provision.sites.openstack.site import OpenStackSite
from tests.openstack.sandbox import Sandbox
from tests.openstack_live.support import Fleet

_ASKED = os.environ.get("DYNAMO_TEST_OPENSTACK", "")
collect_ignore_glob = [] if _ASKED else ["test_*.py"]


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    """The sandbox, up; it stays up."""
    return Sandbox.running() if _ASKED == "running" else Sandbox.start()


@pytest.fixture
def fleet(sandbox: Sandbox, tmp_path: Path) -> Iterator[Fleet]:
    """A fleet of its own, whose servers, leases, addresses and networks are removed at the end."""
    made = Fleet(sandbox, f"t{secrets.token_hex(4)}", tmp_path)
    yield made
    made.clean()


@pytest.fixture
def site(fleet: Fleet) -> OpenStackSite:
    """The driver for OpenStack."""
    return fleet.openstack()


@pytest.fixture
def chameleon(fleet: Fleet) -> ChameleonSite:
    """The driver for Chameleon, on hosts that can be leased."""
    fleet.need_hosts()
    return fleet.chameleon()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait until something is true."""

    def wait(condition: Callable[[], object], timeout_s: float = 90.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.3)

    return wait
