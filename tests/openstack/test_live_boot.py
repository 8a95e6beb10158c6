"""Servers of the sandbox really boot, stop, end by themselves, outlive nova-compute, and go without a trace."""

from __future__ import annotations

import base64
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.exceptions import ClientException
from keystoneauth1.exceptions.http import NotFound, Unauthorized
from openstack.exceptions import HttpException, ResourceFailure, SDKException

from tests.openstack import faults
from tests.openstack.proxy import Mode, server_creations
from tests.openstack.sandbox import Sandbox

STAYS = """#!/bin/bash
echo "$(id -un) of $HOSTNAME at $SERVER_ADDRESS"
touch /etc/made-by-a-server
env -i setsid sleep 86399 &
"""

FAILED = (SDKException, ClientException)


class Project:
    """What a project member does."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.compute: Any = sandbox.connect().compute
        cloud = sandbox.connect()
        self.asked = {
            "image_id": cloud.image.find_image("CC-Ubuntu22.04", ignore_missing=False).id,
            "flavor_id": self.compute.find_flavor("m1.tiny", ignore_missing=False).id,
            "networks": [{"uuid": cloud.network.find_network("sharednet1", ignore_missing=False).id}],
        }

    def create(self, name: str, user_data: str = "", compute: Any = None) -> Any:
        asked: dict[str, Any] = dict(self.asked)
        if user_data:
            asked["user_data"] = base64.b64encode(user_data.encode()).decode()
        compute = compute or self.compute
        return compute.wait_for_server(compute.create_server(name=f"test-{name}", **asked), interval=0.2, wait=120)

    def console(self, server: Any) -> str:
        return str(self.compute.get_server_console_output(server.id)["output"])

    def status(self, server: Any) -> str:
        return str(self.compute.get_server(server.id).status)

    def servers(self) -> list[tuple[str, str]]:
        return [(server.name, server.status) for server in self.compute.servers(name="^test-")]


@pytest.fixture
def project(sandbox: Sandbox) -> Project:
    return Project(sandbox)


def eventually(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


def sleepers() -> list[str]:
    return subprocess.run(["pgrep", "-f", "^sleep 86399$"], check=False, capture_output=True, text=True).stdout.split()


def test_a_server_boots_and_goes_without_a_trace(project: Project) -> None:
    server = project.create("boots", STAYS)
    address = server.addresses["sharednet1"][0]["addr"]
    eventually(lambda: f"root of test-boots at {address}" in project.console(server))
    eventually(lambda: len(sleepers()) == 1)
    assert not Path("/etc/made-by-a-server").exists(), "a server writes to this machine's root"
    project.compute.delete_server(server)
    eventually(lambda: not sleepers())
    eventually(lambda: not project.sandbox.server_root(server.id).exists())


def test_stop_and_start(project: Project) -> None:
    server = project.create("stops", STAYS)
    eventually(lambda: len(sleepers()) == 1)
    project.compute.stop_server(server)
    eventually(lambda: project.status(server) == "SHUTOFF")
    assert not sleepers()
    project.compute.start_server(server)
    eventually(lambda: project.status(server) == "ACTIVE" and len(sleepers()) == 1)


@pytest.mark.parametrize("script", ["#!/bin/sh\n", "#!/bin/sh\nshutdown -h now\nsleep 1000\n"])
def test_a_server_that_ends_is_shut_off(project: Project, script: str) -> None:
    server = project.create("ends", script)
    eventually(lambda: project.status(server) == "SHUTOFF")


def test_a_server_without_user_data_stays(project: Project) -> None:
    server = project.create("empty")
    time.sleep(5)
    assert project.status(server) == "ACTIVE"
    assert not list(project.sandbox.processes_of(server.id))


def test_servers_outlive_a_restart_of_nova_compute(project: Project) -> None:
    server = project.create("outlives", STAYS)
    eventually(lambda: len(sleepers()) == 1)
    before = sleepers()
    node = "nova-compute-" + project.sandbox.admin.compute.get_server(server.id).compute_host
    faults.stop_service(project.sandbox, node)
    faults.start_service(project.sandbox, node)
    time.sleep(10)
    assert project.status(server) == "ACTIVE"
    assert sleepers() == before
    project.compute.delete_server(server)
    eventually(lambda: not sleepers(), 60)


def test_nova_api_goes_and_comes(project: Project) -> None:
    with faults.service_down(project.sandbox), pytest.raises(FAILED):
        project.sandbox.connect().compute.get("/servers", connect_retries=0).json()
    assert project.servers() == []


def test_quota_is_reached(project: Project) -> None:
    with faults.quota_left(project.sandbox, 1):
        project.create("first")
        with pytest.raises(HttpException, match="Quota exceeded"):
            project.create("second")
    project.create("second")


def test_the_hypervisor_fails(project: Project) -> None:
    with faults.spawn_fails(project.sandbox), pytest.raises(ResourceFailure):
        project.create("broken")


def test_a_server_is_deleted_behind_our_back(project: Project) -> None:
    server = project.create("gone", STAYS)
    faults.delete_behind_back(project.sandbox, server.id)
    assert project.servers() == []


def test_a_create_times_out_but_succeeds(project: Project, tmp_path: Path) -> None:
    with faults.nova_proxy(project.sandbox, tmp_path) as (proxy, clouds):
        compute = Sandbox.connect_with(clouds).compute
        list(compute.servers())
        assert proxy.seen[-1][0] == "GET"
        proxy.become(Mode.LOSE_ANSWER, chosen=server_creations, remaining=1, delay_s=1)
        with pytest.raises(FAILED):
            project.create("unheard", compute=compute)
        eventually(lambda: project.servers() == [("test-unheard", "ACTIVE")])


def test_a_token_expires_and_is_renewed(project: Project) -> None:
    member = project.sandbox.connect()
    before = str(member.session.get_token())
    faults.revoke_token(project.sandbox, before)
    list(member.compute.servers())
    assert member.session.get_token() != before


def test_credentials_end(project: Project, tmp_path: Path) -> None:
    credential = faults.application_credential(project.sandbox, tmp_path)
    held = Sandbox.connect_with(credential.clouds_yaml)
    list(held.compute.servers())
    credential.revoke()
    refused = faults.wrong_password_clouds(project.sandbox, tmp_path)
    for late in (held, Sandbox.connect_with(credential.clouds_yaml), Sandbox.connect_with(refused)):
        # Keystone answers 404 for a credential that is gone, 401 for one that is wrong.
        with pytest.raises((Unauthorized, NotFound)):
            list(late.compute.servers())
