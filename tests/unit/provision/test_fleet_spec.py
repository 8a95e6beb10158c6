from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dynamo.doors import SITES
from dynamo.errors import InputError, NotFoundError
from dynamo.provision.sites.base import Flavor
from dynamo.provision.sites.flavors import FlavorNeed, choose
from dynamo.provision.sites.registry import option_models
from dynamo.provision.spec.docs import markdown, tables
from dynamo.provision.spec.errors import SpecError
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec
from dynamo.provision.spec.loading import load_spec
from dynamo.provision.spec.schema import schema_text, spec_schema
from dynamo.provision.spec.sites import SiteSpec
from dynamo.provision.spec.types import MAX_SCRIPT_BYTES

ROOT = Path(__file__).resolve().parents[3]
READY = sorted(path for path in (ROOT / "mobius_specs").glob("*.json") if path.name != "schema.json")
NOW = datetime(2026, 6, 10, tzinfo=UTC)
TINY, SMALL, BIG = Flavor("tiny", 1, 3000, 20), Flavor("small", 2, 6000, 20), Flavor("big", 8, 30000, 60)


def errors(data: Any) -> tuple[str, ...]:
    with pytest.raises(SpecError) as caught:
        load_spec(data)
    return caught.value.errors


def group(**fields: Any) -> dict[str, Any]:
    return {"compute": [{"site": "Local:here", "count": 1, **fields}]}


def test_the_published_schema_and_reference_are_those_of_the_models() -> None:
    # As data: versions of pydantic write the same number as 0 or 0.0.
    assert json.loads((ROOT / "mobius_specs" / "schema.json").read_bytes()) == json.loads(schema_text())
    assert (ROOT / "docs" / "reference" / "provision_spec.md").read_text() == markdown()


def test_every_field_is_documented() -> None:
    for table in tables():
        assert all(info.description for info in table.options.values()), table


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_specs_are_read_and_valid(path: Path) -> None:
    spec = load_spec(path)
    assert spec.name == path.stem
    jsonschema.Draft202012Validator(spec_schema()).validate(json.loads(path.read_text()))
    readme = (path.parent / "README.md").read_text()
    assert f"## {path.name}" in readme
    again = load_spec(spec.to_json())
    assert again == spec
    jsonschema.Draft202012Validator(spec_schema()).validate(spec.to_json())


def test_there_are_the_four_ready_specs() -> None:
    assert [path.stem for path in READY] == ["chameleon", "jetstream2", "local", "multicloud"]
    local = load_spec(ROOT / "mobius_specs" / "local.json")
    assert [(c.site, c.wanted_workers(TINY), c.min, c.max) for c in local.compute] == [("Local:here", 2, 0, 8)]


def test_the_schema_itself_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(spec_schema())
    validator = jsonschema.Draft202012Validator(spec_schema())
    assert not validator.is_valid(group(count=-1))
    assert not validator.is_valid(group(cpus=-1))
    assert not validator.is_valid({**group(), "polcy": {}})
    assert validator.is_valid(group(postBootScript={"file": "a.sh"}, cpus="4", imageName="x"))


def test_every_error_is_told_at_once_with_its_place() -> None:
    found = errors(
        {
            "name": "Not A Name",
            "sites": {"Chameleon:CHI@UC": {"paralel": 3, "parallel": 900}},
            "compute": [
                {"site": "Chameleon:CHI@U", "count": 9, "min": 10, "leaseEnd": "tomorrow"},
                {"site": "Chameleon:CHI@UC", "count": 9, "leaseStart": "2026-01-02", "leaseEnd": 5, "imageNam": "x"},
                5,
            ],
            "polcy": {},
            "policy": {"breaker": {"failure": 3}},
        }
    )
    starts = [
        "name: it is 'Not A Name'; expected at most 40 lowercase",
        'sites["Chameleon:CHI@UC"].parallel: it is 900; expected less than or equal to 64',
        'sites["Chameleon:CHI@UC"].paralel: unknown field',
        "compute[0].leaseEnd: not a time ('tomorrow'); expected seconds since 1970",
        "compute[0].site: unknown site 'Chameleon:CHI@U'; expected Chameleon:CHI@UC",
        "compute[0].count: 9 is less than min; expected at least 10",
        "compute[1].imageNam: unknown field",
        "compute[1].leaseEnd: is not after leaseStart",
        "compute[2]: 5 is not an object",
        "polcy: unknown field",
        "policy.breaker.failure: unknown field",
    ]
    for start in starts:
        assert sum(line.startswith(start) for line in found) == 1, (start, found)
    assert len(found) == len(starts)
    near = {line.split(":")[0]: line for line in found if "did you mean" in line}
    assert near["polcy"].endswith("(did you mean policy?)")
    assert near["compute[1].imageNam"].endswith("(did you mean imageName?)")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (group(count=None), "compute[0]: number of workers missing"),
        (group(cpus=4), "compute[0].cpus: conflicts with count"),
        (group(max=0), "compute[0].count: 1 is more than max"),
        (group(min=3, max=2), "compute[0].max: 2 is less than min"),
        (group(coallocate=True), "compute[0].coallocate: requires cpus"),
        (group(count=2, ipAddress="10.0.0.1"), "compute[0].ipAddress: applies to a single worker only"),
        (group(slicePolicy="existing"), "compute[0].sliceName: missing"),
        (group(imageHash="93b4bf5c7e9b45cd"), "compute[0].imageUrl: missing"),
        (group(networkCidr="10.0.0.1/24"), "compute[0].networkCidr: an address with host bits"),
        (group(leaseEnd=1_781_049_600_000), "compute[0].leaseEnd: not seconds since 1970; are they milliseconds?"),
        (group(leaseEnd="now"), "compute[0].leaseEnd: ends immediately"),
        (group(leaseEnd="+0h"), "compute[0].leaseEnd: an offset out of range"),
        (group(leaseEnd=True), "compute[0].leaseEnd: not a time"),
        (group(stitchTag=4095), "compute[0].stitchTag: it is 4095"),
        (group(imageUrl="https://user:pw@example.org/i"), "compute[0].imageUrl: invalid; expected an http"),
        (group(count=True), "compute[0].count: it is True; expected a whole number"),
        (group(image="x\x00"), "compute[0].image: contains a NUL character"),
        (group(postBootScript="-----BEGIN RSA PRIVATE KEY-----"), "compute[0].postBootScript: the script contains"),
        (group(postBootScript="é" * MAX_SCRIPT_BYTES), "compute[0].postBootScript: the script is larger than"),
        ({**group(), "pool": {"kind": "existing"}}, "pool.condor_config: missing"),
        ({**group(), "policy": {"breaker": {"base_s": 9, "max_s": 8}}}, "policy.breaker.max_s: shorter than base_s"),
        ({**group(), "policy": {"missing_s": 5}}, "policy.missing_s: "),
        ({**group(), "policy": {"missing_s": 15}}, "policy.missing_s: 15 s, but the pool is looked at every 10 s"),
        ({**group(), "policy": {"cycle_s": 90}}, "policy.missing_s: 120 s, but the pool is looked at every 90 s"),
        ({**group(count=3), "sites": {"Local:here": {"max_workers": 2}}}, 'sites["Local:here"].max_workers: 2, but'),
        ({**group(), "sites": {"Local": {}}}, "sites.Local: it is 'Local'; expected Cloud:Region"),
        ({**group(), "network": [{"name": "a"}]}, "network[0].site: missing"),
        ({**group(), "network": [{"site": "Local:here"}]}, "network[0]: is neither a network nor a link"),
        ({**group(), "storage": [{"mountPoint": "/m", "target": "x", "size": 1}]}, "storage[0].target: unknown worker"),
        ({"compute": [{"site": "Local:a", "count": 1, "name": "a"}] * 2}, "compute[1].name: 'a' is already the name"),
        ({"compute": {"site": "L"}}, "compute[0].site: it is 'L'; expected Cloud:Region"),
        ({**group(), "budget": {"total": float("inf")}}, "budget.total: it is inf"),
    ],
)
def test_what_is_refused(data: dict[str, Any], message: str) -> None:
    assert any(line.startswith(message) for line in errors(data)), errors(data)


@pytest.mark.parametrize(
    ("site", "options", "group_options", "found"),
    [
        ("Local:here", {"netwrok": "host"}, {}, 'sites["Local:here"].options.netwrok: unknown option of local sites'),
        (
            "Local:here",
            {"cpus": 0},
            {},
            'sites["Local:here"].options.cpus: it is 0; expected greater than or equal to 1',
        ),
        ("Local:here", {"bandwidth_mbit": 9}, {}, 'sites["Local:here"].options: invalid; expected bandwidth_mbit'),
        ("Local:here", {}, {"x": 1}, "compute[0].options.x: unknown option of local groups"),
        ("Chameleon:CHI@UC", {"lease_h": 500}, {}, 'sites["Chameleon:CHI@UC"].options.lease_h: it is 500'),
        ("Chameleon:CHI@UC", {}, {"reserve": "hots"}, "compute[0].options.reserve: it is 'hots'"),
        ("Chameleon:CHI@UC", {}, {"lease_h": 2}, "compute[0].options.lease_h: unknown option of chameleon groups"),
        ("J:IU", {}, {"server_group": {"nam": "a"}}, "compute[0].options.server_group.nam: unknown field 'nam'"),
        ("Simulated:a", {"boot": {"median_s": -2}}, {}, 'sites["Simulated:a"].options.boot.median_s: it is -2'),
    ],
)
def test_options_of_drivers_are_checked_with_all_else(
    site: str, options: dict[str, Any], group_options: dict[str, Any], found: str
) -> None:
    data = {
        "sites": {site: {"options": options}},
        "compute": [{"site": site, "count": 1, "options": group_options}],
        "budget": {"total": -1},
    }
    told = errors(data)
    assert any(line.startswith(found) for line in told), told
    assert any(line.startswith("budget.total") for line in told)
    # What was stored by another version can still be looked at, and ended.
    assert load_spec({**data, "budget": {}}, check_options=False).sites[site].options == options


def test_options_that_fit() -> None:
    data = group(site="Chameleon:CHI@UC", options={"node_type": "compute_skylake", "boot_volume_gb": 20})
    data["sites"] = {"Chameleon:CHI@UC": {"options": {"lease_h": 2, "config_file": "c.yaml", "metadata": {"a": "b"}}}}
    assert load_spec(data).compute[0].options["node_type"] == "compute_skylake"


def test_options_of_every_driver_are_documented() -> None:
    page = markdown()
    for kind in SITES.names():
        for of_group in (False, True):
            for model in option_models(kind, group=of_group):
                assert all(f"| `{name}` |" in page for name in model.model_fields if name != "first_attempt")


def test_secrets_are_refused_and_never_repeated() -> None:
    spec = {**group(password="hunter2"), "sites": {"Local:here": {"options": {"auth": {"api_key": "hunter2"}}}}}
    found = errors(spec)
    assert len(found) == 2
    assert not any("hunter2" in line for line in found)
    assert all("clouds.yaml" in line for line in found)
    assert load_spec({**group(), "policy": {"token_lifetime_s": 600}}).policy.token_lifetime_s == 600


def test_hostile_data_end_soon() -> None:
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    assert "too deep" in errors({**group(), "sites": deep})[0]
    assert "too large" in errors({"compute": [[0] * 1000] * 1000})[0]
    assert len(errors({"compute": [{"a": 1}] * 5000})) <= 100
    assert "object" in errors(group(count=object()))[0]
    assert all(len(line) < 2000 for line in errors({"x" * 150: 1, **group(image="y" * 100_000)}))


def test_errors_cross_processes_and_are_one_line() -> None:
    with pytest.raises(SpecError) as caught:
        load_spec({"compute": [{"site": "x"}], "y": 1})
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)
    assert "\n" not in str(again)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "My fleet.json"
    (tmp_path / "setup.sh").write_text("echo ready\n")
    (tmp_path / "out").symlink_to("/etc/passwd")
    path.write_text(json.dumps({**group(postBootScript={"file": "setup.sh"}), "pool": {"state": "pool"}}))
    spec = load_spec(path)
    assert (spec.name, spec.compute[0].post_boot_script) == ("my-fleet", "echo ready\n")
    assert spec.pool.state == str(tmp_path / "pool")
    for name in ("../setup.sh", "/etc/passwd", "out", "gone", "."):
        path.write_text(json.dumps(group(postBootScript={"file": name})))
        with pytest.raises(SpecError, match=r"postBootScript\.file"):
            load_spec(path)
    path.write_text('{"compute": [], "compute": []}')
    with pytest.raises(InputError, match="duplicate key"):
        load_spec(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="UTF-8"):
        load_spec(path)
    path.write_bytes(b" " * 1_100_000)
    with pytest.raises(InputError, match="too large"):
        load_spec(path)
    with pytest.raises(NotFoundError):
        load_spec(tmp_path / "gone.json")


def test_what_is_left_out_is_derived() -> None:
    spec = load_spec(
        {
            "compute": [
                {"site": "Chameleon:CHI@UC", "count": 1},
                {"site": "Chameleon:CHI@UC", "count": 1},
                {"site": "Jetstream2:IU", "count": 1, "hostNamePrefix": "JetWorker"},
                {"site": "Simulated:a b", "count": 1},
            ]
        },
        name="mine",
    )
    assert spec.name == "mine"
    assert [c.name for c in spec.compute] == ["chameleon-chi-uc", "chameleon-chi-uc-2", "jetworker", "simulated-a-b"]
    assert {name: site.driver for name, site in spec.sites.items()} == {
        "Chameleon:CHI@UC": "chameleon",
        "Jetstream2:IU": "openstack",
        "Simulated:a b": "simulated",
    }
    assert spec.sites["Jetstream2:IU"].driver_options("Jetstream2:IU") == {"cloud": "jetstream2", "region": "IU"}
    kept = FleetSpec(sites={"Local:x": SiteSpec(driver="simulated")}, compute=(ComputeSpec(site="Local:x", count=1),))
    assert kept.sites["Local:x"].driver == "simulated"
    assert kept.group("local-x") == kept.groups_at("Local:x")[0]


def test_how_many_workers() -> None:
    def wanted(flavor: Flavor, **fields: Any) -> int:
        return ComputeSpec(site="Local:here", **fields).wanted_workers(flavor)

    assert wanted(BIG, count=3) == 3
    assert wanted(SMALL, cpus=7) == 4
    assert wanted(BIG, cpus=7) == 1
    assert wanted(SMALL, cpus=7, max=2) == 2
    assert wanted(BIG, cpus=7, min=2) == 2
    assert wanted(BIG, cpus=7, coallocate=True) == 1
    assert wanted(BIG, cpus=0) == 0
    assert wanted(Flavor("g", 16, 1, 1, gpus=2), cpus=8, gpus=5) == 3


def test_the_flavour_by_need() -> None:
    flavors = [BIG, SMALL, TINY]
    assert ComputeSpec(site="Local:here", cpus=4, ram_per_cpu_mb=3000).pick_flavor(flavors) == TINY
    assert ComputeSpec(site="Local:here", cpus=4, coallocate=True, ram_per_cpu_mb=3000).pick_flavor(flavors) == BIG
    assert ComputeSpec(site="Local:here", count=4, worker_cpus=2).pick_flavor(flavors) == SMALL
    assert ComputeSpec(site="Local:here", count=4, flavour="big").pick_flavor(flavors) == BIG
    with pytest.raises(NotFoundError, match=r"flavor 'huge' not found.*big, small, tiny"):
        ComputeSpec(site="Local:here", count=4, flavour="huge").pick_flavor(flavors)


def test_the_cheapest_then_the_smallest() -> None:
    dear, cheap, free = Flavor("a", 2, 9, 9, cost_per_hour=2.0), Flavor("b", 4, 9, 9, cost_per_hour=1.0), SMALL
    gpu = Flavor("g", 1, 9000, 99, gpus=1, cost_per_hour=0.1)
    assert choose([dear, cheap, free], FlavorNeed()) == cheap
    assert choose([dear, gpu], FlavorNeed()) == dear
    assert choose([dear, gpu], FlavorNeed(gpus=1)) == gpu
    assert choose([Flavor("volume", 1, 1, 0)], FlavorNeed(disk_gb=100)).name == "volume"
    with pytest.raises(NotFoundError) as caught:
        choose([TINY, BIG], FlavorNeed(cpus=8, ram_mb=64000, disk_gb=50), where="Local:here")
    assert "at least 8 cpus, 64000 MB of memory, 50 GB of disk" in str(caught.value)
    assert "big (ram 30000 of 64000 MB)" in str(caught.value)
    with pytest.raises(NotFoundError, match="offers no flavors"):
        choose([], FlavorNeed())


def test_leases() -> None:
    spec = load_spec(group(leaseStart="+1h", leaseEnd="+1d12h30m"))
    start, end = spec.compute[0].lease(NOW)
    assert (start, end) == (datetime(2026, 6, 10, 1, tzinfo=UTC), datetime(2026, 6, 11, 13, 30, tzinfo=UTC))
    settled = spec.settled(NOW)
    assert settled.compute[0].lease(datetime(2030, 1, 1, tzinfo=UTC)) == (start, end)
    assert load_spec(settled.to_json()) == settled
    assert load_spec(group(leaseEnd="2026-06-10T02:00:00+02:00")).compute[0].lease(NOW)[1] == NOW
    assert load_spec(group(leaseEnd="1781049600")).compute[0].lease(NOW) == (NOW, NOW)
    assert load_spec(group()).compute[0].lease(NOW) == (NOW, None)


def test_networks_by_name() -> None:
    network = {"name": "dynamo", "site": "Local:here", "action": "create", "cidr": "10.0.0.0/24", "bandwidth": 100}
    assert load_spec({**group(network="dynamo"), "network": [network]}).network[0].bandwidth_mbit == 100
    assert load_spec({**group(network="sharednet1"), "network": [network]}).compute[0].network == "sharednet1"
    assert "did you mean dynamo?" in errors({**group(network="dynamoo"), "network": [network]})[0]
    other = {**network, "site": "Local:there"}
    assert "is at Local:there" in errors({**group(network="dynamo"), "network": [other]})[0]
    assert "network[1].name" in errors({**group(), "network": [network, network]})[0]
    assert "network[0].cidr: missing" in errors({**group(), "network": [{**network, "cidr": None}]})[0]


def test_what_a_worker_costs() -> None:
    spec = load_spec({**group(), "sites": {"Local:here": {"cost_per_hour": 3.0}}})
    assert spec.cost_per_hour(spec.compute[0]) == 3.0
    assert spec.cost_per_hour(spec.compute[0], Flavor("a", 1, 1, 1, cost_per_hour=2.0)) == 2.0
    spec = load_spec(group(costPerHour=0.5))
    assert spec.cost_per_hour(spec.compute[0], Flavor("a", 1, 1, 1, cost_per_hour=2.0)) == 0.5
    assert load_spec(group()).cost_per_hour(load_spec(group()).compute[0]) == 0.0
