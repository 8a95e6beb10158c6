"""The OpenStack driver against a real control plane."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo.provision.fleets import apply_fleet
from dynamo.provision.keeping.opening import open_sites
from dynamo.provision.leftovers import clear_leftovers
from dynamo.provision.planning import plan_fleet
from dynamo.provision.sites.base import FLEET_TAG, GROUP_TAG, WORKER_TAG, Server, ServerStatus
from dynamo.provision.sites.errors import (
    SiteAuthError,
    SiteError,
    SitePermanentError,
    SiteQuotaError,
    SiteRetryableError,
)
from dynamo.provision.sites.extras import NetworkRequest
from dynamo.provision.sites.openstack.addresses import prepare
from dynamo.provision.sites.openstack.site import OpenStackSite
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.states import ENDED
from dynamo.store.engine import open_store
from dynamo.times import utc_now
from tests.openstack import faults
from tests.openstack.proxy import Mode, server_creations
from tests.openstack_live.support import Fleet, seconds

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBuQ0Z2qoWZ3w1m2Xv0bq9Jt8f7iS5l3rQm6yV1c4N2k dynamo"
Until = Callable[[Callable[[], object]], None]


def look(site: OpenStackSite, server: Server) -> Server:
    found = site.get(server.id)
    assert found is not None
    return found


def test_a_server_from_wish_to_end(fleet: Fleet, site: OpenStackSite, until: Until) -> None:
    made = site.create(fleet.request("1", options={"first_attempt": True, "public_key": KEY, "metadata": {"a": "b"}}))
    assert made.status is ServerStatus.BUILDING
    assert [server.id for server in site.list(fleet.id)] == [made.id]
    until(lambda: look(site, made).status is ServerStatus.ACTIVE)
    server = look(site, made)
    assert server.name == f"{fleet.id}-1"
    assert {FLEET_TAG: fleet.id, WORKER_TAG: server.name, GROUP_TAG: "g"}.items() <= server.tags.items()
    assert server.addresses
    assert server.flavor == "m1.tiny"
    assert site.list("another-fleet") == ()
    site.delete(made.id)
    site.delete(made.id)
    until(lambda: site.get(made.id) is None)
    site.delete(made.id)
    assert site.list(fleet.id) == ()


def test_a_second_create_returns_the_first_server(fleet: Fleet, site: OpenStackSite) -> None:
    first = site.create(fleet.request("1"))
    assert site.create(fleet.request("1")).id == first.id
    assert len(site.list(fleet.id)) == 1


def test_the_same_nova_under_another_region_is_another_site(fleet: Fleet, site: OpenStackSite) -> None:
    site.create(fleet.request("1"))
    assert fleet.openstack(cloud="tacc").list(fleet.id) == ()


def test_a_server_that_only_looks_like_ours_is_not_listed(fleet: Fleet, site: OpenStackSite, until: Until) -> None:
    ours = site.create(fleet.request("1"))
    other = site.create(fleet.request("2"))
    until(lambda: all(server.status is ServerStatus.ACTIVE for server in site.list(fleet.id)))
    with site.access.use("change metadata and tags") as connection:
        # Wiped metadata: the tags still tell. Another fleet in the metadata: not ours, whatever the tag says.
        connection.compute.delete_server_metadata(ours.id, [FLEET_TAG, WORKER_TAG, GROUP_TAG])
        connection.compute.set_server_metadata(other.id, **{FLEET_TAG: "another"})
    (listed,) = site.list(fleet.id)
    assert listed.id == ours.id
    assert listed.tags[FLEET_TAG] == fleet.id
    site.delete(other.id)


def test_workers_have_no_open_port(fleet: Fleet, site: OpenStackSite) -> None:
    made = site.create(fleet.request("1"))
    with site.access.use("look at the group") as connection:
        details = connection.compute.get_server(made.id)
        group = next(iter(connection.network.security_groups(name="dynamo-worker")))
        ingress = list(connection.network.security_group_rules(security_group_id=group.id, direction="ingress"))
        egress = list(connection.network.security_group_rules(security_group_id=group.id, direction="egress"))
    assert details.name == made.name
    assert ingress == []
    assert egress


def test_a_server_group_keeps_workers_apart(fleet: Fleet, site: OpenStackSite) -> None:
    group = {"server_group": {"name": fleet.id, "policy": "soft-anti-affinity"}}
    made = [site.create(fleet.request(str(number), options=group)) for number in (1, 2)]
    with site.access.use("look at the group") as connection:
        found = next(found for found in connection.compute.server_groups() if found.name == fleet.id)
        assert set(found.member_ids) == {server.id for server in made}
        connection.compute.delete_server_group(found)


def test_what_is_wrong_is_named_and_not_tried_again(fleet: Fleet, site: OpenStackSite) -> None:
    for changes, words in (
        ({"image": "CC-Ubuntu22"}, "expected CC-Ubuntu22.04"),
        ({"image": "00000000-0000-0000-0000-000000000000"}, "Can not find requested image"),
        ({"flavor": "m1.smal"}, "did you mean 'm1.small'"),
        ({"network": "sharednet"}, "expected sharednet1"),
        ({"key": "nobody"}, "Invalid key_name"),
        ({"availability_zone": "mars"}, "availability zone"),
        ({"security_groups": ("closed",)}, "no security group 'closed'"),
        ({"options": {"boot_volume_gb": 1}}, "offers no volumes"),
        ({"user_data": "x" * 60000}, "too long"),
    ):
        with pytest.raises(SitePermanentError, match=words):
            site.create(fleet.request("1", **changes))
    assert site.list(fleet.id) == ()


def test_an_image_by_its_properties_needs_one_that_has_them(fleet: Fleet, site: OpenStackSite) -> None:
    with pytest.raises(SitePermanentError, match="no active image with os_distro=plan9"):
        site.create(fleet.request("1", image="", options={"image_properties": {"os_distro": "plan9"}}))


def test_no_valid_host_is_no_capacity(fleet: Fleet, site: OpenStackSite, until: Until) -> None:
    made = site.create(fleet.request("1", flavor="impossible"))
    until(lambda: look(site, made).status is ServerStatus.ERROR)
    for server in (look(site, made), site.list(fleet.id)[0]):
        assert server.no_capacity
        assert "No valid host" in server.fault


def test_a_hypervisor_that_fails_is_no_matter_of_capacity(fleet: Fleet, site: OpenStackSite, until: Until) -> None:
    with faults.spawn_fails(fleet.sandbox):
        made = site.create(fleet.request("1"))
        until(lambda: look(site, made).status is ServerStatus.ERROR)
    assert look(site, made).fault


def test_quota_reached(fleet: Fleet, site: OpenStackSite) -> None:
    used = site.quota().servers_used
    with faults.quota(fleet.sandbox, instances=used + 1):
        assert site.quota().servers == used + 1
        site.create(fleet.request("1"))
        with pytest.raises(SiteQuotaError, match="larger quota"):
            site.create(fleet.request("2"))
    assert [server.name for server in site.list(fleet.id)] == [f"{fleet.id}-1"]


def test_a_server_deleted_behind_our_back(fleet: Fleet, site: OpenStackSite) -> None:
    made = site.create(fleet.request("1"))
    faults.delete_behind_back(fleet.sandbox, made.id)
    assert site.get(made.id) is None
    assert site.list(fleet.id) == ()
    site.delete(made.id)


def test_flavours_with_their_sizes(site: OpenStackSite) -> None:
    sizes = {flavor.name: flavor for flavor in site.flavors()}
    assert (sizes["m1.small"].cpus, sizes["m1.small"].ram_mb, sizes["m1.small"].disk_gb) == (1, 2048, 20)


def test_wrong_credentials(fleet: Fleet) -> None:
    refused = fleet.openstack(config_file=str(faults.wrong_password_clouds(fleet.sandbox, fleet.folder)))
    with pytest.raises(SiteAuthError, match="not logged in") as caught:
        refused.list(fleet.id)
    assert "no-longer-valid" not in str(caught.value)


def test_a_revoked_token_is_renewed_once_by_itself(fleet: Fleet, site: OpenStackSite) -> None:
    site.quota()
    with site.access.use("read the token") as connection:
        before = str(connection.session.get_token())
    faults.revoke_token(fleet.sandbox, before)
    site.list(fleet.id)
    site.create(fleet.request("1"))
    with site.access.use("read the token") as connection:
        assert str(connection.session.get_token()) != before


def test_an_application_credential_that_has_expired(fleet: Fleet) -> None:
    credential = faults.application_credential(fleet.sandbox, fleet.folder)
    holder = fleet.openstack(config_file=str(credential.clouds_yaml))
    holder.quota()
    credential.revoke()
    with pytest.raises(SiteAuthError, match="create a new application credential"):
        holder.quota()
    with pytest.raises(SiteAuthError, match="not logged in") as caught:
        holder.create(fleet.request("1"))
    secret = yaml.safe_load(credential.clouds_yaml.read_text())["clouds"]["uc"]["auth"]["application_credential_secret"]
    assert secret not in str(caught.value)


def test_a_region_that_is_not_there(fleet: Fleet) -> None:
    with pytest.raises(SitePermanentError, match="correct `region`"):
        fleet.openstack(region="Mars").quota()


def test_a_slow_api_ends_with_the_timeout(fleet: Fleet) -> None:
    with faults.nova_proxy(fleet.sandbox, fleet.folder) as (proxy, clouds):
        slow = fleet.openstack(config_file=str(clouds), timeout_s=8.0)
        slow.quota()
        proxy.become(Mode.BLACK_HOLE)
        calls = len(proxy.seen)

        def ask() -> None:
            with pytest.raises(SiteRetryableError):
                slow.list(fleet.id)

        assert seconds(ask) < 12
        assert len(proxy.seen) == calls + 1, "no repetition is hidden in the library"
        proxy.become(Mode.PASS)
        assert slow.list(fleet.id) == ()


def test_a_lost_answer_makes_no_second_server(fleet: Fleet, until: Until) -> None:
    with faults.nova_proxy(fleet.sandbox, fleet.folder) as (proxy, clouds):
        site = fleet.openstack(config_file=str(clouds), timeout_s=5.0)
        proxy.become(Mode.LOSE_ANSWER, chosen=server_creations, remaining=1)
        with pytest.raises(SiteRetryableError):
            site.create(fleet.request("1", options={"first_attempt": True}))
        until(lambda: site.list(fleet.id))
        found = site.create(fleet.request("1"))
        assert [server.id for server in site.list(fleet.id)] == [found.id]
        assert sum(server_creations(method, path) for method, path, _ in proxy.seen) == 1


@pytest.mark.parametrize("mode", [Mode.RESET, Mode.STATUS])
def test_a_broken_api_is_retryable(fleet: Fleet, mode: Mode) -> None:
    with faults.nova_proxy(fleet.sandbox, fleet.folder) as (proxy, clouds):
        site = fleet.openstack(config_file=str(clouds))
        site.quota()
        proxy.become(mode)
        for call in (lambda: site.list(fleet.id), site.quota, lambda: site.get("x"), lambda: site.delete("x")):
            with pytest.raises(SiteRetryableError):
                call()


def test_an_api_that_is_broken_from_the_start_is_retryable(fleet: Fleet) -> None:
    with faults.nova_proxy(fleet.sandbox, fleet.folder) as (proxy, clouds):
        site = fleet.openstack(config_file=str(clouds))
        proxy.become(Mode.STATUS)
        with pytest.raises(SiteRetryableError):
            site.list(fleet.id)
        proxy.become(Mode.PASS)
        assert site.list(fleet.id) == ()


def test_a_404_of_something_in_between_is_no_answer(fleet: Fleet) -> None:
    with faults.nova_proxy(fleet.sandbox, fleet.folder) as (proxy, clouds):
        site = fleet.openstack(config_file=str(clouds))
        made = site.create(fleet.request("1"))
        proxy.status = 404
        proxy.become(Mode.STATUS)
        with pytest.raises(SiteRetryableError):
            site.get(made.id)
        with pytest.raises(SiteRetryableError):
            site.delete(made.id)


def test_a_floating_ip_comes_and_goes_with_its_server(fleet: Fleet, site: OpenStackSite, until: Until) -> None:
    made = site.create(fleet.request("1", floating_ip=True))
    until(lambda: look(site, made).status is ServerStatus.ACTIVE)
    until(lambda: len(look(site, made).addresses) == 2)
    assert look(site, made).addresses[0].startswith("203.0.11")
    site.delete(made.id)
    assert site.sweep(fleet.id, ()) == []


def test_an_address_whose_server_was_never_made_is_swept(fleet: Fleet, site: OpenStackSite) -> None:
    with site.access.use("find networks") as connection:
        network = connection.network.find_network("sharednet1", ignore_missing=False)
        public = connection.network.find_network("public", ignore_missing=False)
    worker = f"{fleet.id}-1"
    for _ in range(2):
        prepare(site.access, fleet=fleet.id, worker=worker, network=network.id, groups=[], external=public.id)
    assert site.sweep(fleet.id, (worker,)) == []
    (address, port) = site.sweep(fleet.id, ())
    assert address.startswith("floating IP 203.0.11")
    assert port == f"port {worker}"
    assert site.sweep(fleet.id, ()) == []


def marked(site: OpenStackSite, fleet: Fleet) -> list[str]:
    """Return the descriptions of the ports, addresses and networks of a fleet."""
    with site.access.use("look for what is marked") as connection:
        service = connection.network
        found = [*service.ports(), *service.ips(), *service.networks(), *service.routers()]
    return [thing.description for thing in found if fleet.id in (thing.description or "")]


@pytest.mark.parametrize("changes", [{}, {"key": "nobody"}, {"user_data": "x" * 60000}])
def test_a_refused_server_leaves_no_address(fleet: Fleet, site: OpenStackSite, changes: dict[str, Any]) -> None:
    with faults.quota_left(fleet.sandbox, 9 if changes else 0), pytest.raises(SiteError) as refused:
        site.create(fleet.request("1", floating_ip=True, **changes))
    assert isinstance(refused.value, SitePermanentError if changes else SiteQuotaError)
    assert marked(site, fleet) == []


def test_all_of_an_ended_fleet_is_found_by_its_tag(fleet: Fleet, site: OpenStackSite, until: Until) -> None:
    network = site.ensure_network(NetworkRequest(f"{fleet.id}-net", fleet.id, "192.168.78.0/24"))
    external = site._lookup.external_network("")
    prepare(site.access, fleet=fleet.id, worker="w-1", network=network, groups=[], external=external)
    made = site.create(fleet.request("2"))
    store = open_store(fleet.folder / "store.sqlite")
    options = {"cloud": "uc", "config_file": str(fleet.sandbox.clouds_yaml)}
    spec = load_spec({"name": "dead", "sites": {"Chameleon:CHI@UC": {"driver": "openstack", "options": options}}})
    with store.transaction() as session:
        dead, _ = apply_fleet(session, spec, base=fleet.folder, now=utc_now())
        dead.id, dead.state = fleet.id, ENDED
    left = clear_leftovers(store)
    assert left.problems == {}
    (gone,) = left.removed.values()
    assert {f"server {made.name}", f"network {fleet.id}-net", f"router {fleet.id}-net", "port w-1"} < set(gone)
    until(lambda: site.get(made.id) is None)
    assert marked(site, fleet) == []
    assert clear_leftovers(store).removed == {}
    store.close()


def test_a_network_of_ones_own(fleet: Fleet, site: OpenStackSite) -> None:
    wish = NetworkRequest(f"{fleet.id}-net", fleet.id, "192.168.77.0/24")
    network = site.ensure_network(wish)
    assert site.ensure_network(wish) == network
    with pytest.raises(SitePermanentError, match="not owned by this fleet"):
        site.ensure_network(NetworkRequest(wish.name, "another", wish.cidr))
    with site.access.use("look at the network") as connection:
        router = next(iter(connection.network.routers(name=wish.name)))
        assert router.external_gateway_info
        assert len(list(connection.network.ports(device_id=router.id, network_id=network))) == 1
    site.remove_network(wish.name, fleet.id)
    site.remove_network(wish.name, fleet.id)
    with site.access.use("look at the network") as connection:
        assert list(connection.network.networks(name=wish.name)) == []
        assert list(connection.network.routers(name=wish.name)) == []


def test_bandwidth_where_the_site_cannot_limit_it(fleet: Fleet, site: OpenStackSite) -> None:
    wish = NetworkRequest(f"{fleet.id}-net", fleet.id, "192.168.78.0/24", bandwidth_mbit=100)
    with pytest.raises(SitePermanentError, match="leave out the bandwidth"):
        site.ensure_network(wish)
    with site.access.use("look at the network") as connection:
        assert list(connection.network.networks(name=wish.name)) == []


def test_storage_where_the_site_has_none(fleet: Fleet, site: OpenStackSite) -> None:
    with pytest.raises(SitePermanentError, match="offers no volumes"):
        site.ensure_volume("any", "data", fleet.id, 10)


def test_threads_share_one_login(fleet: Fleet, site: OpenStackSite) -> None:
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda number: site.create(fleet.request(str(number))), range(6)))
    assert len({server.id for server in made}) == 6
    assert {server.id for server in site.list(fleet.id)} == {server.id for server in made}
    with site.access.use("count groups") as connection:
        groups = list(connection.network.security_groups(name="dynamo-worker"))
    assert len(groups) == 1


def test_nothing_secret_is_logged(fleet: Fleet, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.DEBUG):
        site = fleet.openstack()
        made = site.create(fleet.request("1", user_data="#!/bin/sh\n# bootstrap-of-one-use\n"))
        site.delete(made.id)
    assert "bootstrap" not in caplog.text
    assert "adminPass" not in caplog.text
    assert "X-Subject-Token" not in caplog.text


def test_a_plan_tells_all_wrong_names_with_the_nearest(fleet: Fleet) -> None:
    wrong = {
        "image": "CC-Ubuntu22",
        "network": "sharednet",
        "key": "nokey",
        "securityGroups": ["defalt", "web"],
        "availabilityZone": "mars",
        "flavor": "m1.smal",
    }
    right = {"image": "CC-Ubuntu22.04", "network": "sharednet1", "flavor": "m1.small"}
    options = {"cloud": "uc", "config_file": str(fleet.sandbox.clouds_yaml)}
    spec = load_spec(
        {
            "name": "plan",
            "sites": {"Chameleon:CHI@UC": {"driver": "openstack", "options": options}},
            "compute": [
                {"name": "wrong", "site": "Chameleon:CHI@UC", "count": 1, **wrong},
                {"name": "right", "site": "Chameleon:CHI@UC", "count": 1, "availabilityZone": "nova", **right},
                {"name": "own", "site": "Chameleon:CHI@UC", "count": 1, "networkType": "private", **right},
            ],
        }
    )
    drivers = open_sites(spec, fleet.folder)
    found = plan_fleet(spec, drivers, {})
    for driver in drivers.values():
        driver.close()
    assert [problem.partition("; expected")[0] for problem in found.wrong] == [
        "wrong: Chameleon:CHI@UC: flavor 'm1.smal' not found",
        "wrong: no image 'CC-Ubuntu22'; did you mean 'CC-Ubuntu22.04'?",
        "wrong: no network 'sharednet'; did you mean 'sharednet1'?",
        "wrong: no security group 'defalt'; did you mean 'default'?",
        "wrong: no security group 'web'",
        "wrong: no key 'nokey'",
        "wrong: no availability zone 'mars'",
    ]
    assert "did you mean 'm1.small'?" in found.wrong[0]
    assert found.problems == found.wrong
    assert found.create == 2
    assert marked(fleet.openstack(), fleet) == []
