"""Servers of this machine: real processes, found again after a kill of whoever made them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dynamo.errors import InputError, MissingPartError
from dynamo.pool.processes import wait_gone, with_environment
from dynamo.provision.pool_link import JoinPapers
from dynamo.provision.sites.base import FLEET_TAG, Flavor, ServerRequest, ServerStatus, SiteContext
from dynamo.provision.sites.errors import SitePermanentError, SiteQuotaError
from dynamo.provision.sites.local import servers as local_servers
from dynamo.provision.sites.local.network import LocalNetwork
from dynamo.provision.sites.local.site import LocalSite
from dynamo.provision.sites.registry import open_site
from tests.integration.provision.fleet_support import FLEET, Fleet
from tests.waiting import wait_for

SLEEPER = "#!/bin/sh\necho here >$SERVER_ROOT/was-here\ncat $SERVER_ROOT/private/note 2>/dev/null\nsleep 1000 &\nwait\n"
TINY = Flavor("tiny", 1, 64, 1)


def ask(name: str, *, user_data: str = SLEEPER, flavor: Flavor = TINY, **files: bytes) -> ServerRequest:
    return ServerRequest(name=name, tags={FLEET_TAG: FLEET}, flavor=flavor, user_data=user_data, private_files=files)


def make(base: Path, **options: object) -> LocalSite:
    return LocalSite(SiteContext("Local:Test", options, base / "site"))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LocalSite]:
    made = make(tmp_path)
    yield made
    for server in made.list(FLEET):
        made.delete(server.id)


def test_server_lives_and_goes_with_all_of_its_processes(site: LocalSite, tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "1000"])
    try:
        server = site.create(ask("one", note=b"psst"))
        assert server.status is ServerStatus.ACTIVE
        assert site.create(ask("one")) == server
        assert site.get(server.id) == server
        folder = tmp_path / "site" / "servers" / "one"
        wait_for(lambda: (folder / "console.log").read_text() == "psst")
        assert (folder / "private" / "note").stat().st_mode & 0o077 == 0
        # Its script, and the `sleep` that the script starts next.
        wait_for(lambda: len(with_environment(f"{local_servers.MARK}={server.id}")) == 2)
        family = with_environment(f"{local_servers.MARK}={server.id}")
        assert all(os.getsid(process.pid) == family[0].pid for process in family)
        site.delete(server.id)
        assert wait_gone(family, 0) == []
        assert site.get(server.id) is None
        assert not folder.exists()
        site.delete(server.id)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_server_gets_no_secret_of_our_environment(site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs can read the environment of the daemons that run them."""
    monkeypatch.setenv("OS_PASSWORD", "psst")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    site.create(ask("plain", user_data="#!/bin/sh\nenv\n"))
    wait_for(lambda: site.list(FLEET)[0].status is ServerStatus.STOPPED)
    told = (site._root / "plain" / "console.log").read_text()
    assert "psst" not in told
    assert f"PATH={site._root / 'plain' / 'bin'}{os.pathsep}{os.environ['PATH']}\n" in told
    assert "LC_ALL=C.UTF-8\n" in told


def test_server_whose_folder_was_removed_ends_all_the_same(site: LocalSite) -> None:
    server = site.create(ask("bare"))
    family = with_environment(f"{local_servers.MARK}={server.id}")
    assert family
    shutil.rmtree(site._root / "bare")
    assert site.list(FLEET) == []
    site.delete(server.id)
    assert wait_gone(family, 0) == []
    site.delete(server.id)


def test_stubborn_server_is_killed(site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_servers.end, "__defaults__", (0.5,))
    server = site.create(ask("deaf", user_data="#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n"))
    family = with_environment(f"{local_servers.MARK}={server.id}")
    site.delete(server.id)
    assert wait_gone(family, 0) == []


def test_server_that_ends_is_stopped_and_switches_nothing_off(site: LocalSite) -> None:
    server = site.create(ask("off", user_data="#!/bin/sh\npoweroff && shutdown -h now && echo both\n"))
    wait_for(lambda: site.list(FLEET)[0].status is ServerStatus.STOPPED)
    assert (site._root / "off" / "console.log").read_text() == "both\n"
    assert site.list("another-fleet") == []
    site.delete(server.id)


def test_quota_and_flavours(tmp_path: Path) -> None:
    site = make(tmp_path, cpus=3, servers=2, ram_mb=1000)
    try:
        with pytest.raises(SiteQuotaError, match="cpus"):
            site.create(ask("large", flavor=Flavor("large", 4, 64, 1)))
        site.create(ask("a", flavor=Flavor("two", 2, 64, 1)))
        with pytest.raises(SiteQuotaError):
            site.create(ask("b", flavor=Flavor("two", 2, 64, 1)))
        site.create(ask("c"))
        with pytest.raises(SiteQuotaError):
            site.create(ask("d"))
        quota = site.quota()
        assert (quota.servers_used, quota.cpus_used, quota.ram_mb_used) == (2, 3, 128)
        with pytest.raises(SitePermanentError):
            site.create(ask("../e"))
        assert [flavor.name for flavor in site.flavors()][:2] == ["worker.1cpu", "worker.2cpu"]
    finally:
        for server in site.list(FLEET):
            site.delete(server.id)


@pytest.mark.parametrize("option", [{"cpu": 3}, {"cpus": 0}, {"network": "vlan"}, {"bandwidth_mbit": 10}])
def test_bad_options_are_named(tmp_path: Path, option: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(option))):
        open_site("local", SiteContext("Local:Test", option, tmp_path))


KILLED = """
import os, signal, sys
from pathlib import Path
from dynamo.provision.sites.local import servers as local_servers
from tests.integration.provision.test_local_site import ask, make
where, base = sys.argv[1], Path(sys.argv[2])
def die(*_a, **_k): os.kill(os.getpid(), signal.SIGKILL)
site = make(base)
if where == "before-record": local_servers.write_server = die
elif where == "after-record":
    local_servers.start = die
elif where == "after-start":
    plain = local_servers.find
    local_servers.find = die
elif where == "deleting":
    server = site.create(ask("one"))
    local_servers.end = die
    site.delete(server.id)
elif where == "ended":
    server = site.create(ask("one"))
    local_servers.remove = die
    site.delete(server.id)
elif where == "half-removed":
    server = site.create(ask("one"))
    local_servers.shutil.rmtree = die
    site.delete(server.id)
site.create(ask("one"))
"""


@pytest.mark.parametrize("where", ["before-record", "after-record", "after-start", "deleting", "ended", "half-removed"])
def test_kill_at_every_point_leaves_no_orphan_and_no_double(tmp_path: Path, where: str) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, where, str(tmp_path)], cwd=root, check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    site = make(tmp_path)
    listed = site.list(FLEET)
    assert len(listed) == (0 if where in {"before-record", "half-removed"} else 1)
    if where in {"deleting", "ended"}:
        assert listed[0].status is ServerStatus.DELETING
        site.delete(listed[0].id)
        assert site.list(FLEET) == []
    server = site.create(ask("one"))
    if where in {"after-record", "after-start"}:
        assert server.id == listed[0].id
    assert server.status is ServerStatus.ACTIVE
    marked = wait_for(lambda: len(found := with_environment(f"{local_servers.MARK}={server.id}")) == 2 and found)
    site.delete(server.id)
    assert wait_gone(marked, 0) == []
    left = [path.name for path in (tmp_path / "site" / "servers").iterdir()]
    assert left == []


def test_servers_of_before_the_machines_restart_are_stopped(site: LocalSite) -> None:
    server = site.create(ask("old"))
    record = local_servers.read_server(site._root / "old")
    assert record is not None
    local_servers.write_server(replace(record, boot="another"))
    assert site.list(FLEET)[0].status is ServerStatus.STOPPED
    local_servers.write_server(record)
    site.delete(server.id)


@pytest.mark.condor
def test_from_nothing_to_two_ready_workers_and_survival(tmp_path: Path) -> None:
    began = time.monotonic()
    fleet = Fleet(tmp_path)
    try:
        fleet.add("one", "two")
        fleet.ready("one", "two", timeout_s=20)
        assert time.monotonic() - began < 200
        # Whoever made them may go: another object knows them from the disk.
        again = make(tmp_path)
        assert {server.name for server in again.list(FLEET)} == {"one", "two"}
        [one, two] = again.list(FLEET)
        marked = with_environment(f"{local_servers.MARK}={one.id}")
        again.delete(one.id)
        assert wait_gone(marked, 0) == []
        assert again.get(two.id) is not None
        wait_for(lambda: "one" not in fleet.link.view().workers, 10)
    finally:
        fleet.close()


def networks_can_be_made() -> bool:
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
        return False
    name = f"dyntry{os.getpid() % 100000}"
    done = subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=False, capture_output=True)
    subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
    return done.returncode == 0


def test_shaping_that_the_kernel_cannot_do_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not networks_can_be_made():
        # What forbids the network is said before its shape is looked at.
        with pytest.raises(MissingPartError, match="network"):
            make(tmp_path, network="namespace", bandwidth_mbit=10, network_cidr="10.214.9.0/29")
        return
    before = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    network = LocalNetwork("Local:shape", "10.214.9.0/29", 10)
    monkeypatch.setattr(network, "_discipline", lambda: ["nosuchqdisc"])
    try:
        with pytest.raises(MissingPartError, match="nosuchqdisc"):
            network.ensure()
    finally:
        network.remove()
    after = subprocess.run(["ip", "-br", "link"], capture_output=True, text=True, check=True).stdout
    assert [line for line in after.splitlines() if "dyn" in line and line not in before.splitlines()] == []


@pytest.mark.condor
def test_workers_with_networks_of_their_own(tmp_path: Path) -> None:
    options: dict[str, object] = {"network": "namespace", "bandwidth_mbit": 50, "network_cidr": "10.213.77.0/28"}
    if not networks_can_be_made():
        # Where the system grants no such thing a clear answer is wanted.
        with pytest.raises(MissingPartError, match="network"):
            make(tmp_path, **options)
        return
    site = make(tmp_path, **options)
    from dynamo.provision.condor.link import CondorLink
    from tests.integration.provision.fleet_support import QUICK, SMALL

    link = CondorLink(tmp_path / "link", address=site.host_address, settings=QUICK)
    try:
        link.ensure()
        papers: JoinPapers = link.papers("near", remote=False)
        made = site.create(
            ServerRequest("near", {FLEET_TAG: FLEET}, SMALL, papers.user_data, private_files=papers.private_files)
        )
        wait_for(lambda: "near" in link.view().workers, 20)
        assert made.addresses[0].startswith("10.213.77.")
        link.drain("near", deadline_s=30)
        wait_for(lambda: link.view().workers["near"].drained, 20)
    finally:
        for server in site.list(FLEET):
            site.delete(server.id)
        link.stop()
        assert site._network is not None
        site._network.remove()
    assert "dynn" not in subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
