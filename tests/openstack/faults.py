"""Faults of the OpenStack sandbox, for tests. Each context manager undoes what it did."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import yaml

from tests.openstack.proxy import Proxy
from tests.openstack.sandbox import COMPUTE_PORT, HERE, MEMCACHED_PORT, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


def stop_service(sandbox: Sandbox, name: str) -> None:
    """Stop one service of the sandbox by its pid file: `nova-api`, or `nova-compute-NODE`."""
    _script(sandbox, f'. "$0/env.sh"; stop {name}')


def start_service(sandbox: Sandbox, name: str) -> None:
    """Start what `stop_service` stopped; `nova-api` answers on return."""
    _script(sandbox, f'"$0/up.sh" only {name}')


@contextmanager
def service_down(sandbox: Sandbox, name: str = "nova-api") -> Iterator[None]:
    """One service is not there (connections are refused)."""
    stop_service(sandbox, name)
    try:
        yield
    finally:
        start_service(sandbox, name)


@contextmanager
def quota(sandbox: Sandbox, *, project: str = "demo", **limits: int) -> Iterator[None]:
    """A project's compute quota: `instances`, `cores`, `ram` (MiB); afterwards as it was."""
    compute: Any = sandbox.admin.compute
    identity: Any = sandbox.admin.identity
    project_id = identity.find_project(project, ignore_missing=False).id
    before = compute.get_quota_set(project_id)
    earlier = {name: getattr(before, name) for name in limits}
    sandbox.admin.set_compute_quotas(project_id, force=True, **limits)
    try:
        yield
    finally:
        sandbox.admin.set_compute_quotas(project_id, force=True, **earlier)


@contextmanager
def quota_left(sandbox: Sandbox, servers: int = 0, *, project: str = "demo") -> Iterator[None]:
    """A project may create only so many more servers than it has now."""
    identity: Any = sandbox.admin.identity
    project_id = identity.find_project(project, ignore_missing=False).id
    used = sum(1 for _ in sandbox.admin.compute.servers(details=False, all_projects=True, project_id=project_id))
    with quota(sandbox, project=project, instances=used + servers):
        yield


def delete_behind_back(sandbox: Sandbox, server_id: str, *, timeout_s: float = 60.0) -> None:
    """Delete a server as the administrator does it; returns when it is gone."""
    sandbox.admin.compute.delete_server(server_id)
    deadline = time.monotonic() + timeout_s
    while sandbox.admin.compute.find_server(server_id, ignore_missing=True, all_projects=True):
        if time.monotonic() > deadline:
            raise TimeoutError(f"server {server_id} does not go")
        time.sleep(0.1)


@contextmanager
def spawn_fails(sandbox: Sandbox, reason: str = "the node's power supply failed") -> Iterator[None]:
    """Every hypervisor refuses new servers: they go to ERROR, after nova has tried its other nodes."""
    fault = sandbox.state / "run" / "spawn-fault"
    fault.write_text(reason)
    try:
        yield
    finally:
        fault.unlink(missing_ok=True)


@contextmanager
def boot_takes(sandbox: Sandbox, seconds: float) -> Iterator[None]:
    """Servers powered on from now need this long until their user data runs (for `never`: a day)."""
    settings = sandbox.state / "conf" / "machine.env"
    before = settings.read_text()
    # Bash reads the last assignment; the file is replaced as a whole, because machines read it at any time.
    _replace(settings, f"{before}BOOT_S={seconds:g}\n")
    try:
        yield
    finally:
        _replace(settings, before)


@contextmanager
def nova_proxy(sandbox: Sandbox, folder: Path) -> Iterator[tuple[Proxy, Path]]:
    """A proxy in front of nova-api, and a clouds.yaml (in `folder`) whose clouds reach nova through it."""
    with Proxy(COMPUTE_PORT).running() as proxy:
        yield proxy, proxied_clouds(sandbox, proxy, folder)


def proxied_clouds(sandbox: Sandbox, proxy: Proxy, folder: Path) -> Path:
    """Write a clouds.yaml as the sandbox's, with the compute endpoint at the proxy."""

    def change(cloud: dict[str, Any]) -> None:
        cloud["compute_endpoint_override"] = f"http://127.0.0.1:{proxy.port}/v2.1"

    return _clouds(sandbox, folder / "clouds-proxied.yaml", change)


def wrong_password_clouds(sandbox: Sandbox, folder: Path) -> Path:
    """Write a clouds.yaml whose credentials keystone refuses (401), as revoked ones."""

    def change(cloud: dict[str, Any]) -> None:
        cloud["auth"]["password"] = "no-longer-valid"

    return _clouds(sandbox, folder / "clouds-refused.yaml", change)


@dataclass(frozen=True)
class ApplicationCredential:
    """An application credential of project demo, and the clouds.yaml (`uc`, `tacc`) that uses it."""

    sandbox: Sandbox
    clouds_yaml: Path
    id: str

    def revoke(self) -> None:
        """End it: what holds it, or a token got with it, is answered 401."""
        member = self.sandbox.connect("uc")
        identity: Any = member.identity
        identity.delete_application_credential(member.current_user_id, self.id, ignore_missing=True)
        _forget_tokens()


def application_credential(sandbox: Sandbox, folder: Path) -> ApplicationCredential:
    """Make an application credential, and write its clouds.yaml into `folder`."""
    member = sandbox.connect("uc")
    identity: Any = member.identity
    made = identity.create_application_credential(user=member.current_user_id, name=f"test-{uuid4().hex}")

    def change(cloud: dict[str, Any]) -> None:
        cloud["auth_type"] = "v3applicationcredential"
        cloud["auth"] = {
            "auth_url": cloud["auth"]["auth_url"],
            "application_credential_id": made.id,
            "application_credential_secret": made.secret,
        }

    return ApplicationCredential(sandbox, _clouds(sandbox, folder / "clouds-application.yaml", change), str(made.id))


def revoke_token(sandbox: Sandbox, token: str) -> None:
    """Make a token (`connection.session.get_token()`) invalid, as its expiry does; its holder may get another."""
    session: Any = sandbox.admin.session
    url = f"{sandbox.admin.config.get_auth_args()['auth_url']}/auth/tokens"
    session.delete(url, headers={"X-Subject-Token": token})
    _forget_tokens()


def _forget_tokens() -> None:
    # The services would trust a token that they have seen for five minutes more.
    with socket.create_connection(("127.0.0.1", MEMCACHED_PORT), timeout=5) as memcached:
        memcached.sendall(b"flush_all\r\n")
        memcached.recv(16)


def _clouds(sandbox: Sandbox, path: Path, change: Any) -> Path:
    document = yaml.safe_load(sandbox.clouds_yaml.read_text())
    for cloud in document["clouds"].values():
        change(cloud)
    path.touch(0o600)
    path.write_text(yaml.safe_dump(document))
    return path


def _replace(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def _script(sandbox: Sandbox, line: str) -> None:
    environment = {**os.environ, "OPENSTACK_SANDBOX_STATE": str(sandbox.state)}
    subprocess.run(
        ["bash", "-c", line, str(HERE)],
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
