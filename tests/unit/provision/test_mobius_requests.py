"""Requests as Mobius's own clients write them: everything in quotes, `null` for what is left out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dynamo.provision.sites.base import Flavor
from dynamo.provision.spec.errors import SpecError
from dynamo.provision.spec.fleet import ComputeSpec, NetworkSpec
from dynamo.provision.spec.loading import check_request, load_spec
from dynamo.provision.spec.mobius import kind_of

COMPUTE: dict[str, Any] = {
    "site": "Exogeni:RENCI (Chapel Hill, NC USA) XO Rack",
    "cpus": "4",
    "gpus": "0",
    "ramPerCpus": "3072",
    "diskPerCpus": "19200",
    "hostNamePrefix": "dataNode",
    "coallocate": "true",
    "slicePolicy": "new",
    "sliceName": None,
    "ipAddress": "172.16.0.1",
    "bandwidth": "1000000000",
    "networkType": "private",
    "physicalNetwork": "exogeni",
    "externalNetwork": "public",
    "networkCidr": "192.168.100.0/24",
    "imageUrl": "http://images.example.org/mb-centos-7.xml",
    "imageHash": "93b4bf5c7e9b45cd1a24d13f228f5a93dfe40345",
    "imageName": "mb-centos-7.v2",
    "leaseStart": "1557647432",
    "leaseEnd": "1557733832",
    "postBootScript": "yum install -y wget;\nsed -i 's/ExecStart=.*/ExecStart=\\/usr/g' a",
    "stitchPortUrl": "http://orca.example.org/owl/ion.rdf#AL2S/UNT/Cisco/6509/TenGigabitEthernet/1/1/ethernet",
    "stitchTag": "705",
    "stitchIP": "10.7.5.42",
    "stitchBandwidth": "1000000000",
    "forceflavor": "compute_haswell",
}
STORAGE: dict[str, Any] = {
    "mountPoint": "/mnt/",
    "target": "dataNode0",
    "size": "10",
    "leaseStart": "1557647432",
    "leaseEnd": "1557733832",
    "action": "add",
}
NETWORK: dict[str, Any] = {
    "source": "master2",
    "sourceIP": "192.168.20.3",
    "sourceSubnet": "192.168.20.1/24",
    "sourceLocalSubnet": "192.168.20.0/24",
    "destination": "storage0",
    "destinationIP": "192.168.30.6",
    "destinationSubnet": "192.168.30.2/24",
    "chameleonSdxControllerIP": "192.168.30.5/24",
    "linkSpeed": "700000000",
    "qos": "gold",
    "action": "add",
}
STITCH: dict[str, Any] = {
    "target": "dataNode0",
    "portUrl": "http://orca.example.org/owl/ion.rdf#AL2S/UNT",
    "tag": "705",
    "stitchIP": "10.7.5.42",
    "bandwidth": "1000000000",
}
SCRIPT: dict[str, Any] = {"target": "dataNode0", "name": "setup", "script": "#!/bin/sh\nls"}
ALL = {"compute": COMPUTE, "storage": STORAGE, "network": NETWORK, "stitch": STITCH, "script": SCRIPT}


@pytest.mark.parametrize("kind", ALL)
def test_a_plain_request_is_a_spec(kind: str) -> None:
    assert kind_of(ALL[kind]) == kind
    spec = load_spec(ALL[kind])
    assert len(getattr(spec, kind)) == 1
    assert load_spec([ALL[kind]]) == spec
    assert load_spec({kind: [ALL[kind]]}) == spec
    assert load_spec({kind: ALL[kind]}) == spec
    assert check_request(kind, ALL[kind]).model_dump(exclude={"name"}) == getattr(spec, kind)[0].model_dump(
        exclude={"name"}
    )


def test_several_requests_are_one_fleet() -> None:
    spec = load_spec(
        [STORAGE, COMPUTE, SCRIPT, {**COMPUTE, "hostNamePrefix": "worker"}, NETWORK | {"source": "worker0"}]
    )
    assert [group.name for group in spec.compute] == ["datanode", "worker"]
    assert list(spec.sites) == [COMPUTE["site"]]


def test_the_fields_mean_what_they_meant() -> None:
    group = load_spec(COMPUTE).compute[0]
    assert group.lease(datetime.now(UTC)) == (
        datetime(2019, 5, 12, 7, 50, 32, tzinfo=UTC),
        datetime(2019, 5, 13, 7, 50, 32, tzinfo=UTC),
    )
    assert (group.cpus, group.ram_per_cpu_mb, group.disk_per_cpu_mb, group.stitch_tag) == (4, 3072, 19200, 705)
    assert (group.bandwidth_bps, group.stitch_bandwidth_bps, group.image) == (10**9, 10**9, "mb-centos-7.v2")
    assert group.flavour == "compute_haswell"
    assert group.wanted_workers(Flavor("compute_haswell", 2, 1, 1)) == 1
    need = group.need
    assert not need.lacks(Flavor("a", 4, 4 * 3072, 77))
    assert need.lacks(Flavor("a", 4, 4 * 3072 - 1, 76)) == ("ram 12287 of 12288 MB", "disk 76 of 77 GB")
    spread = load_spec({**COMPUTE, "coallocate": "false", "ipAddress": None}).compute[0]
    assert spread.wanted_workers(Flavor("a", 2, 1, 1)) == 2
    link = check_request("network", NETWORK)
    assert isinstance(link, NetworkSpec)
    assert (link.is_link, link.link_speed_bps) == (True, 700_000_000)


def test_names_may_be_paths_as_mobius_has_them() -> None:
    for image in ("arm64v8/python:slim", "ami-00bf61217e296b409", "CC-Ubuntu22.04"):
        assert load_spec({**COMPUTE, "imageName": image}).compute[0].image == image
    assert load_spec({**COMPUTE, "externalNetwork": "192.158.1.0/24"}).compute[0].external_network == "192.158.1.0/24"
    for image in ("a/../b", "/etc/passwd", "a//b", "a/", "../a"):
        with pytest.raises(SpecError, match="imageName"):
            load_spec({**COMPUTE, "imageName": image})


def test_errors_are_at_the_place_in_the_request() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({**COMPUTE, "leaseEnd": "1557647432", "cpu": "4", "forceflavor": "\n"})
    paths = sorted(problem.path for problem in caught.value.problems)
    assert paths == ["cpu", "forceflavor", "leaseEnd"]
    with pytest.raises(SpecError) as caught:
        load_spec([STORAGE, {**COMPUTE, "cpus": "many"}, {"what": 1}])
    assert [problem.path for problem in caught.value.problems] == ["[2]"]
    with pytest.raises(SpecError) as caught:
        load_spec([STORAGE, {**COMPUTE, "cpus": "many"}])
    assert [problem.path for problem in caught.value.problems] == ["[1].cpus"]
    with pytest.raises(SpecError) as caught:
        check_request("compute", {**COMPUTE, "leaseEnd": "1557647432"})
    assert [problem.path for problem in caught.value.problems] == ["leaseEnd"]
    with pytest.raises(SpecError, match="linkSpeed"):
        check_request("network", {**NETWORK, "linkSpeed": "fast"})
    with pytest.raises(SpecError, match="not an object"):
        check_request("script", 5)
    with pytest.raises(SpecError, match="NUL"):
        check_request("script", {**SCRIPT, "script": "a\x00"})


@pytest.mark.parametrize("data", [5, "x", None, [], {}, [1], [[]], {"a": 1}, {"compute": 5}, {"compute": "x"}])
def test_what_is_no_request(data: Any) -> None:
    if isinstance(data, str):
        data = [data]
    with pytest.raises(SpecError):
        load_spec(data)


def test_a_request_needs_no_name() -> None:
    part = check_request("compute", {"site": "Local:here", "cpus": 2})
    assert isinstance(part, ComputeSpec)
    assert part.name == ""
