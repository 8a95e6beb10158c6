"""What tests against the OpenStack sandbox share.

Files named ``test_live_*.py`` need the sandbox (root, Debian, minutes to install); they are collected only with
``DYNAMO_TEST_OPENSTACK=1``, as `make test-openstack` sets it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.openstack.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

collect_ignore_glob = [] if os.environ.get("DYNAMO_TEST_OPENSTACK") else ["test_live_*.py"]


@pytest.fixture(scope="session")
def started_sandbox() -> Sandbox:
    """The sandbox, up; it stays up after the tests, because starting it is what costs."""
    return Sandbox.start()


@pytest.fixture
def sandbox(started_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox without servers and leases named ``test-...``, before and after."""
    _clean(started_sandbox)
    yield started_sandbox
    _clean(started_sandbox)


def _clean(sandbox: Sandbox) -> None:
    sandbox.delete_leases(prefix="test-")
    sandbox.delete_servers(prefix="test-")
