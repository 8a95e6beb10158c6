"""Options, marks and the reading of nova's answers, without a cloud."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo.errors import InputError
from dynamo.provision.sites.base import Flavor, ServerStatus
from dynamo.provision.sites.openstack.cache import TimedCache
from dynamo.provision.sites.openstack.marks import described, description, nova_tag, nova_tags
from dynamo.provision.sites.openstack.options import RequestOptions, SiteOptions
from dynamo.provision.sites.openstack.servers import flavor_of, gpus_of, quota_of, server_of, status_of
from dynamo.provision.sites.options import split_options


def test_an_unknown_option_names_the_near_one() -> None:
    with pytest.raises(InputError, match="first_atempt") as caught:
        RequestOptions.read({"first_atempt": True}, where="C:R")
    assert "did you mean 'first_attempt'?" in str(caught.value)


def test_a_wrong_value_names_its_path() -> None:
    with pytest.raises(InputError, match=r"server_group\.policy"):
        RequestOptions.read({"server_group": {"name": "g", "policy": "apart"}}, where="C:R")
    with pytest.raises(InputError, match="boot_volume_gb"):
        RequestOptions.read({"boot_volume_gb": -1}, where="C:R")


def test_options_of_site_and_servers_are_told_apart() -> None:
    site, servers = split_options({"cloud": "uc", "config_drive": True}, SiteOptions, RequestOptions, where="C:R")
    assert site == {"cloud": "uc"}
    assert servers == {"config_drive": True}


def test_nova_tags_fit_and_stay_different() -> None:
    assert nova_tag("dynamo-fleet", "storms") == "dynamo-fleet=storms"
    long, longer = nova_tag("dynamo-fleet", "x" * 60), nova_tag("dynamo-fleet", "x" * 61)
    assert len(long) <= 60
    assert long != longer
    assert not {"/", ","} & set(nova_tag("dynamo-fleet", "a/b,c"))
    assert nova_tags({"b": "2", "a": "1"}) == ["a=1", "b=2"]


def test_descriptions_are_read_back() -> None:
    assert described(description("f", "w-1")) == {"dynamo-fleet": "f", "dynamo-worker": "w-1"}
    assert described(description("f")) == {"dynamo-fleet": "f"}
    assert described("somebody's dynamo-worker=x") == {}
    assert described(None) == {}


@pytest.mark.parametrize(
    ("status", "task", "meant"),
    [
        ("BUILD", None, ServerStatus.BUILDING),
        ("BUILD", "deleting", ServerStatus.DELETING),
        ("ACTIVE", None, ServerStatus.ACTIVE),
        ("ACTIVE", "deleting", ServerStatus.DELETING),
        ("ERROR", None, ServerStatus.ERROR),
        ("ERROR", "deleting", ServerStatus.DELETING),
        ("SHUTOFF", None, ServerStatus.STOPPED),
        ("SOFT_DELETED", None, ServerStatus.DELETING),
        ("QUANTUM", None, ServerStatus.UNKNOWN),
    ],
)
def test_nova_states(status: str, task: str | None, meant: ServerStatus) -> None:
    assert status_of(status, task) is meant


def found(**changes: Any) -> SimpleNamespace:
    values: dict[str, Any] = {
        "id": "1",
        "name": "w-1",
        "status": "ACTIVE",
        "task_state": None,
        "metadata": {"dynamo-fleet": "f", "dynamo-lease": "l-1"},
        "created_at": "2026-11-20T13:06:24Z",
        "addresses": {
            "net": [
                {"addr": "10.0.0.5", "OS-EXT-IPS:type": "fixed"},
                {"addr": "203.0.112.9", "OS-EXT-IPS:type": "floating"},
            ]
        },
        "fault": None,
        "tags": [],
        "flavor": SimpleNamespace(original_name="m1.small", name=None, id=None),
    }
    return SimpleNamespace(**{**values, **changes})


def test_a_server_is_read_with_its_reachable_address_first() -> None:
    server = server_of(found())
    assert server.addresses == ("203.0.112.9", "10.0.0.5")
    assert server.flavor == "m1.small"
    assert server.lease_id == "l-1"
    assert server.created_at is not None
    assert server.created_at.tzinfo is not None


def test_a_fault_says_whether_there_was_room() -> None:
    full = server_of(found(status="ERROR", fault={"code": 500, "message": "No valid host was found. "}))
    assert full.no_capacity
    assert full.fault == "No valid host was found."
    assert not server_of(found(status="ERROR", fault={"message": "the node's power supply failed"})).no_capacity


def test_nova_tags_tell_what_wiped_metadata_no_longer_does() -> None:
    server = server_of(found(metadata={}, tags=["dynamo-fleet=f", "dynamo-worker=w-1", "blue"]))
    assert server.tags == {"dynamo-fleet": "f", "dynamo-worker": "w-1"}


@pytest.mark.parametrize(
    ("specs", "count"),
    [
        ({}, 0),
        ({"resources:VGPU": "1"}, 1),
        ({"resources:CUSTOM_GPU_A100": "2"}, 2),
        ({"pci_passthrough:alias": "a100:4"}, 4),
        ({"pci_passthrough:alias": "nic-x:2, nvidia-rtx:1"}, 1),
        ({"trait:CUSTOM_GPU": "required"}, 0),
    ],
)
def test_gpus_of_a_flavour(specs: dict[str, str], count: int) -> None:
    assert gpus_of(specs) == count


def test_flavour_and_quota() -> None:
    flavor = flavor_of(SimpleNamespace(name="m1", vcpus=2, ram=2048, disk=20, extra_specs=None))
    assert flavor == Flavor("m1", 2, 2048, 20)
    quota = quota_of(
        {
            "maxTotalInstances": 10,
            "totalInstancesUsed": 4,
            "maxTotalCores": -1,
            "maxTotalRAMSize": 8192,
            "totalRAMUsed": 0,
        }
    )
    assert quota.cpus is None
    assert quota.room(flavor) == 4


def test_the_cache_asks_once_for_all_threads_and_again_later() -> None:
    now = [0.0]
    cache = TimedCache(10, clock=lambda: now[0])
    asked: list[int] = []
    barrier = threading.Barrier(4)

    def read() -> None:
        barrier.wait()
        cache.get("key", lambda: asked.append(1))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    now[0] = 11
    cache.get("key", lambda: asked.append(1))
    assert len(asked) == 2


def test_the_cache_keeps_no_failure() -> None:
    cache = TimedCache(10)

    def fail() -> int:
        raise KeyError("x")

    with pytest.raises(KeyError):
        cache.get("key", fail)
    assert cache.get("key", lambda: 5) == 5
    cache.clear()
    assert cache.get("key", lambda: 6) == 6
