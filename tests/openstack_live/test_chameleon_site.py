"""The Chameleon driver against a real Blazar."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from dynamo.provision.sites.base import Server, ServerRequest, ServerStatus
from dynamo.provision.sites.chameleon.site import ChameleonSite
from dynamo.provision.sites.errors import SiteCapacityError, SitePermanentError
from dynamo.provision.sites.extras import VlanRequest
from dynamo.times import utc_now
from tests.openstack import faults
from tests.openstack_live.support import NODE_TYPE, Fleet

Until = Callable[[Callable[[], object]], None]


def wish(fleet: Fleet, worker: str, **options: object) -> ServerRequest:
    return fleet.request(worker, flavor="baremetal", options={"node_type": NODE_TYPE, **options})


def finish(site: ChameleonSite, request: ServerRequest, timeout_s: float = 120.0) -> Server:
    deadline = time.monotonic() + timeout_s
    while (server := site.create(request)).unfinished:
        assert time.monotonic() < deadline, "the lease does not begin"
        time.sleep(0.5)
    return server


def test_lease_server_extension_end(fleet: Fleet, chameleon: ChameleonSite, until: Until) -> None:
    first = chameleon.create(wish(fleet, "1", first_attempt=True))
    assert first.unfinished
    assert first.id == f"lease:{first.lease_id}"
    assert first.lease_end is not None
    listed = chameleon.list(fleet.id)
    assert [(server.id, server.name) for server in listed] == [(first.id, f"{fleet.id}-1")]
    server = finish(chameleon, wish(fleet, "1"))
    assert server.lease_id == first.lease_id
    assert chameleon.create(wish(fleet, "1")).id == server.id
    until(lambda: [found.status for found in chameleon.list(fleet.id)] == [ServerStatus.ACTIVE])
    host = fleet.sandbox.admin.compute.get_server(server.id).compute_host
    assert str(host).startswith("uc-node-")

    later = first.lease_end + timedelta(hours=2)
    assert chameleon.extend(server.id, later) >= later
    found = chameleon.get(server.id)
    assert found is not None
    assert found.lease_end is not None
    assert found.lease_end >= later
    same = chameleon.get(first.id)
    assert same is not None
    assert same.id == server.id

    chameleon.delete(server.id)
    until(lambda: chameleon.list(fleet.id) == ())
    assert chameleon.get(first.id) is None
    chameleon.delete(server.id)
    chameleon.delete(first.id)


def test_another_process_goes_on_where_the_first_was_killed(fleet: Fleet, chameleon: ChameleonSite) -> None:
    first = chameleon.create(wish(fleet, "1", first_attempt=True))
    chameleon.close()
    server = finish(fleet.chameleon(), wish(fleet, "1"))
    assert server.lease_id == first.lease_id
    assert len(fleet.chameleon().list(fleet.id)) == 1


def test_a_lease_without_a_server_is_listed_and_can_be_deleted(
    fleet: Fleet, chameleon: ChameleonSite, until: Until
) -> None:
    server = finish(chameleon, wish(fleet, "1"))
    faults.delete_behind_back(fleet.sandbox, server.id)
    (left,) = chameleon.list(fleet.id)
    assert left.id == f"lease:{server.lease_id}"
    assert left.name == server.name
    assert left.unfinished
    chameleon.delete(left.id)
    until(lambda: chameleon.list(fleet.id) == ())


def test_deleting_by_the_lease_takes_the_server_along(fleet: Fleet, chameleon: ChameleonSite, until: Until) -> None:
    server = finish(chameleon, wish(fleet, "1"))
    chameleon.delete(f"lease:{server.lease_id}")
    until(lambda: chameleon.get(server.id) is None)
    until(lambda: chameleon.list(fleet.id) == ())


def test_a_lease_that_cannot_be_had_names_what_can(fleet: Fleet, chameleon: ChameleonSite) -> None:
    staff = fleet.chameleon(cloud="uc-admin")
    with pytest.raises(SiteCapacityError, match="gpu_v100") as caught:
        staff.create(wish(fleet, "1", node_type="gpu_v100"))
    assert f"{NODE_TYPE} (" in str(caught.value)
    with pytest.raises(SiteCapacityError, match="lease calendar"):
        chameleon.create(wish(fleet, "1", node_type="gpu_v100"))
    assert chameleon.list(fleet.id) == ()


def test_what_is_wrong_is_no_matter_of_capacity(fleet: Fleet, chameleon: ChameleonSite) -> None:
    with pytest.raises(SitePermanentError, match="Malformed"):
        chameleon.create(wish(fleet, "1", resource_properties="gpu_v100"))
    with pytest.raises(SitePermanentError, match="may not have such a property"):
        chameleon.create(wish(fleet, "1", resource_properties='["==", "$colour", "red"]'))
    staff = fleet.chameleon(cloud="uc-admin")
    assert staff.check(wish(fleet, "1", node_type="compute_skylak")) == [
        f"no machine of node_type 'compute_skylak'; did you mean {NODE_TYPE!r}?"
    ]
    assert staff.check(wish(fleet, "1", node_type=NODE_TYPE)) == []
    # Members do not see the machines.
    assert chameleon.check(wish(fleet, "1", node_type="compute_skylak")) == []
    with pytest.raises(SitePermanentError, match="not found"):
        chameleon.extend("lease:none", utc_now() + timedelta(hours=1))


def test_an_extension_that_others_stand_in_the_way_of(fleet: Fleet, chameleon: ChameleonSite) -> None:
    end = utc_now() + timedelta(hours=2)
    lease = chameleon.create(fleet.request("1", flavor="baremetal", lease_end=end))
    # Somebody else has all machines from two hours on.
    client = fleet.blazar(fleet.sandbox.admin)
    later = client.lease.create(
        name=f"other-{fleet.id}",
        start=(end + timedelta(minutes=5)).strftime("%Y-%m-%d %H:%M"),
        end=(end + timedelta(hours=5)).strftime("%Y-%m-%d %H:%M"),
        reservations=[
            {
                "resource_type": "physical:host",
                "min": 2,
                "max": 2,
                "hypervisor_properties": "",
                "resource_properties": "",
            }
        ],
        events=[],
    )
    try:
        with pytest.raises(SiteCapacityError, match="others have reserved the machine"):
            chameleon.extend(lease.id, end + timedelta(hours=3))
    finally:
        client.lease.delete(later["id"])


def test_room_for_a_flavour_is_leased_too(fleet: Fleet, chameleon: ChameleonSite, until: Until) -> None:
    request = fleet.request("1", options={"reserve": "flavor"})
    server = finish(chameleon, request)
    until(lambda: [found.status for found in chameleon.list(fleet.id)] == [ServerStatus.ACTIVE])
    chameleon.delete(server.id)
    until(lambda: chameleon.list(fleet.id) == ())


def test_kvm_needs_no_lease(fleet: Fleet) -> None:
    site = fleet.chameleon(cloud="tacc")
    server = site.create(fleet.request("1"))
    assert not server.unfinished
    assert server.lease_id == ""
    assert [found.id for found in site.list(fleet.id)] == [server.id]
    site.delete(server.id)


def test_vlans_where_the_site_leases_none(fleet: Fleet, chameleon: ChameleonSite) -> None:
    with pytest.raises(SitePermanentError, match="not offered by this site"):
        chameleon.ensure_vlan(VlanRequest("stitch", fleet.id, utc_now() + timedelta(hours=1)))
    chameleon.remove_vlan("stitch", fleet.id)
