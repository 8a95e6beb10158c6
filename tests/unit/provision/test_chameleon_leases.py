"""Leases: their names, their reading, and what else there is when one is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dynamo.errors import InputError
from dynamo.provision.sites.base import SiteContext
from dynamo.provision.sites.chameleon.alternatives import NodeType, in_words, survey
from dynamo.provision.sites.chameleon.leases import api_time, digest, host_reservation, lease_name, read_lease
from dynamo.provision.sites.chameleon.options import LeaseOptions
from dynamo.provision.sites.chameleon.site import ChameleonSite, _as_server
from dynamo.provision.sites.chameleon.vlans import network_reservation
from dynamo.provision.sites.errors import SitePermanentError
from dynamo.provision.sites.extras import (
    LeasingSite,
    NetworkingSite,
    StorageSite,
    SweepingSite,
    VlanRequest,
    VlanSite,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def lease(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": "l-1",
        "name": name,
        "status": "ACTIVE",
        "end_date": "2026-11-20T14:08:00.000000",
        "reservations": [{"id": "r-1", "resource_type": "physical:host", "status": "active"}],
        **changes,
    }


def test_a_name_tells_fleet_group_and_worker() -> None:
    read = read_lease(lease(lease_name("storms", "metal", "storms-metal-7")))
    assert read is not None
    assert (read.fleet, read.worker) == ("storms", "storms-metal-7")
    assert read.tags == {"dynamo-fleet": "storms", "dynamo-group": "metal", "dynamo-worker": "storms-metal-7"}
    assert read.reservation == "r-1"
    assert read.end == datetime(2026, 11, 20, 14, 8, tzinfo=UTC)
    assert read.active


def test_a_failed_lease_says_what_of_it_failed() -> None:
    host = {"id": "r-1", "resource_type": "physical:host", "status": "error", "missing_resources": True}
    events = [{"event_type": "start_lease", "status": "ERROR"}, {"event_type": "end_lease", "status": "UNDONE"}]
    failed = read_lease(lease("dynamo/storms/metal/m-7", status="ERROR", reservations=[host], events=events))
    assert failed is not None
    server = _as_server(failed, {})
    assert server.fault == (
        "its lease is ERROR: event start_lease failed, reservation of physical:host failed, "
        "its machine has failed and not enough hosts are left"
    )
    assert server.no_capacity
    well = read_lease(lease("dynamo/storms/metal/m-7"))
    assert well is not None
    assert (well.trouble, _as_server(well, {}).fault) == ("", "")


def test_a_long_fleet_is_digested_and_the_worker_kept_whole() -> None:
    name = lease_name("f" * 70, "group", "w" * 50)
    assert len(name) <= 80
    read = read_lease(lease(name))
    assert read is not None
    assert read.fleet == digest("f" * 70)
    assert read.worker == "w" * 50


@pytest.mark.parametrize("worker", ["w" * 75, "a/b"])
def test_a_worker_that_could_not_be_found_again_gets_no_lease(worker: str) -> None:
    with pytest.raises(SitePermanentError):
        lease_name("f", "g", worker)


def test_leases_of_others_are_left_alone() -> None:
    assert read_lease(lease("my experiment")) is None
    assert read_lease(lease("dynamo")) is None


@pytest.mark.parametrize(
    ("status", "meant"),
    [
        ("PENDING", "building"),
        ("STARTING", "building"),
        ("ACTIVE", "building"),
        ("UPDATING", "building"),
        ("DELETING", "deleting"),
        ("TERMINATED", "error"),
        ("ERROR", "error"),
    ],
)
def test_what_a_worker_is_that_has_only_a_lease(status: str, meant: str) -> None:
    read = read_lease(lease(lease_name("f", "g", "w"), status=status))
    assert read is not None
    assert read.as_server_status == meant


def test_a_reserved_flavour_is_known_by_its_reservation() -> None:
    values = lease(lease_name("f", "g", "w"), reservations=[{"id": "r-2", "resource_type": "flavor:instance"}])
    read = read_lease(values)
    assert read is not None
    assert read.flavor == "r-2"


def test_the_end_is_rounded_up_to_the_minute() -> None:
    assert api_time(NOON) == "2026-11-20 12:00"
    assert api_time(NOON.replace(second=1)) == "2026-11-20 12:01"


def test_node_type_becomes_blazars_expression() -> None:
    assert json.loads(str(host_reservation(LeaseOptions(node_type="gpu_v100"))["resource_properties"])) == [
        "==",
        "$node_type",
        "gpu_v100",
    ]
    assert host_reservation(LeaseOptions())["resource_properties"] == ""


def test_a_stitched_vlan() -> None:
    request = VlanRequest("v", "f", NOON, physical_network="physnet1", stitch_provider="fabric")
    wanted = json.loads(str(network_reservation(request)["resource_properties"]))
    assert wanted == ["and", ["==", "$physical_network", "physnet1"], ["==", "$stitch_provider", "fabric"]]
    assert network_reservation(VlanRequest("v", "f", NOON))["resource_properties"] == ""
    wanted = json.loads(str(network_reservation(VlanRequest("v", "f", NOON, vlan=3300))["resource_properties"]))
    assert wanted == ["==", "$segment_id", "3300"]


def test_what_is_free_and_when_the_next_is() -> None:
    hosts = [{"id": "1", "node_type": "skylake"}, {"id": "2", "node_type": "skylake"}, {"id": "3", "node_type": "gpu"}]
    taken = {"start_date": "2026-11-20T11:00:00.000000", "end_date": "2026-11-21T05:00:00.000000"}
    past = {"start_date": "2026-11-19T11:00:00.000000", "end_date": "2026-11-19T12:00:00.000000"}
    allocations = [{"resource_id": "3", "reservations": [taken]}, {"resource_id": "1", "reservations": [past]}]
    offers = survey(hosts, allocations, NOON, NOON.replace(hour=18))
    five = datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert offers == [NodeType("gpu", 1, 0, five), NodeType("skylake", 2, 2)]
    assert in_words(offers) == "free now: skylake (2 of 2); next free: gpu at 2026-11-21T05:00:00Z"
    assert in_words([]) == "no machine is free now"


def site(folder: Path, **options: object) -> ChameleonSite:
    return ChameleonSite(SiteContext(site="Chameleon:CHI@UC", options=options, state=folder))


def test_options_of_lease_and_cloud_are_both_known(tmp_path: Path) -> None:
    site(tmp_path, cloud="uc", lease_h=3, node_type="compute_skylake", config_drive=True).close()
    with pytest.raises(InputError, match="did you mean 'node_type'"):
        site(tmp_path, node_typ="x")
    with pytest.raises(InputError, match="lease_h"):
        site(tmp_path, lease_h=1000)


def test_what_the_site_offers_beyond_servers(tmp_path: Path) -> None:
    driver = site(tmp_path)
    for kind in (LeasingSite, NetworkingSite, StorageSite, SweepingSite, VlanSite):
        assert isinstance(driver, kind)
    driver.close()
