"""What a spec says and nothing acts on: marked at its field, told for each use; the schema is held against the code."""

from __future__ import annotations

import ast
import inspect
import json
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

import dynamo
from dynamo.cli.fleet.main import register_all
from dynamo.provision.deciding import requests
from dynamo.provision.deciding.site_parts import SiteParts, VolumeWish
from dynamo.provision.simulated.site import SimulatedSite
from dynamo.provision.sites import extras
from dynamo.provision.sites.base import ServerRequest
from dynamo.provision.sites.chameleon.site import ChameleonSite
from dynamo.provision.sites.extras import NetworkRequest, VlanRequest
from dynamo.provision.sites.local.site import LocalSite
from dynamo.provision.sites.openstack.site import OpenStackSite
from dynamo.provision.sites.registry import option_models
from dynamo.provision.spec.compute import ComputeSpec
from dynamo.provision.spec.docs import markdown, tables
from dynamo.provision.spec.loading import check_request, load_spec
from dynamo.provision.spec.marks import NotActedOn, marks_of
from dynamo.provision.spec.network import NetworkSpec, StitchSpec, StorageSpec
from dynamo.provision.spec.not_acted_on import ignored_in, not_acted_on
from dynamo.provision.spec.schema import spec_schema
from tests.unit.provision.reads import Reads

PACKAGE = Path(dynamo.__file__).parent
SPEC = sorted((PACKAGE / "provision" / "spec").glob("*.py"))
MODELS = [table.model for table in tables()]
DRIVERS: dict[str, type] = {
    "local": LocalSite,
    "openstack": OpenStackSite,
    "chameleon": ChameleonSite,
    "simulated": SimulatedSite,
}
NO_LINK = "no kind of site can link two workers"


@cache
def acting() -> Reads:
    """Return what is read by the code that acts on specs; what reads and checks them does not count."""
    files = [path for path in sorted((PACKAGE / "provision").rglob("*.py")) if path not in SPEC]
    return Reads([*files, *sorted((PACKAGE / "autoscale").rglob("*.py"))], also=SPEC)


def marks(model: type[BaseModel]) -> dict[str, list[NotActedOn]]:
    found: dict[str, list[NotActedOn]] = {}
    for name, mark in marks_of(model):
        found.setdefault(name, []).append(mark)
    return found


class TestTheSchemaAgainstTheCode:
    @pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
    def test_what_nothing_reads_is_marked_and_what_is_marked_nothing_reads(self, model: type[BaseModel]) -> None:
        unread = set(model.model_fields) - acting().of(model.__name__)
        marked = {name for name, several in marks(model).items() if any(mark.everywhere for mark in several)}
        assert unread == marked

    @pytest.mark.parametrize("kind", DRIVERS)
    def test_each_option_of_a_driver_is_read(self, kind: str) -> None:
        for model in {*option_models(kind, group=False), *option_models(kind, group=True)}:
            assert set(model.model_fields) <= acting().of(model.__name__)

    @pytest.mark.parametrize("carrier", [ServerRequest, NetworkRequest, VlanRequest, VolumeWish, SiteParts])
    def test_what_carries_fields_to_drivers_is_read(self, carrier: type[Any]) -> None:
        """A field that is only copied on, to where nobody looks, is not acted on."""
        assert {field.name for field in fields(carrier)} <= acting().of(carrier.__name__)

    @pytest.mark.parametrize("kind", DRIVERS)
    def test_what_a_driver_does_not_read_of_a_group_is_marked_for_it(self, kind: str) -> None:
        read = driver_reads(kind).of("ServerRequest")
        group = marks(ComputeSpec)
        for name, field in sent_to_drivers().items():
            if field == "options" and not option_models(kind, group=True):
                continue  # any option is refused there
            assert (kind in {driver for mark in group.get(field, ()) for driver in mark.drivers}) == (name not in read)

    @pytest.mark.parametrize("kind", DRIVERS)
    def test_what_a_kind_of_site_cannot_have_is_marked_for_it(self, kind: str) -> None:
        for model, field, offers in (
            (NetworkSpec, "action", extras.NetworkingSite),
            (StorageSpec, "target", extras.StorageSite),
            (StitchSpec, "target", extras.VlanSite),
        ):
            drivers = {one for mark in marks(model)[field] if "physical" not in mark.case for one in mark.drivers}
            assert (kind in drivers) == (not issubclass(DRIVERS[kind], offers))


def driver_reads(kind: str) -> Reads:
    """Return what is read by a driver; one of Chameleon makes its servers by that of OpenStack."""
    drivers = [DRIVERS[kind], *([OpenStackSite] if kind == "chameleon" else [])]
    files = [file for driver in drivers for file in Path(inspect.getfile(driver)).parent.glob("*.py")]
    return Reads(files, also=[Path(inspect.getfile(ServerRequest))])


def sent_to_drivers() -> dict[str, str]:
    """Return the arguments with which a server is asked for, by name, and the field of the group that each is."""
    tree = ast.parse(inspect.getsource(requests))
    (call,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ServerRequest"
    )
    found = {}
    for argument in call.keywords:
        for node in ast.walk(argument.value):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "group.spec" and argument.arg:
                found[argument.arg] = node.attr
    assert {"image", "key", "security_groups", "floating_ip"} <= set(found)
    return found


class TestReads:
    def test_a_field_counts_by_its_class_not_by_its_name(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text(
            "class Base:\n    colour: str\n"
            "class Car(Base):\n    doors: int\n    wheels: int\n    unused: int\n"
            "    def seats(self) -> int:\n        return self.doors\n"
            "class House:\n    unused: int\n    cars: tuple[Car, ...]\n"
        )
        (tmp_path / "use.py").write_text(
            "def act(house: House) -> None:\n"
            "    print(house.unused)\n"
            "    for number, car in enumerate(house.cars):\n"
            "        print(car.colour, car.seats())\n"
            "    print([one.wheels for one in sorted(house.cars)])\n"
        )
        reads = Reads([tmp_path / "use.py"], also=[tmp_path / "model.py"])
        assert reads.of("House") == {"unused", "cars"}
        assert reads.of("Car") == {"seats", "doors", "wheels"}
        assert reads.of("Base") == {"colour"}


def ignored(**spec: Any) -> dict[str, str]:
    return {item.path: item.reason for item in not_acted_on(load_spec({"name": "t", **spec}))}


#: A network that is to be made with a policy of the site, where none can be made.
QOS = {
    "sites": {"Simulated:a": {}},
    "compute": [{"name": "w", "site": "Simulated:a", "count": 2}],
    "network": [{"name": "n", "site": "Simulated:a", "action": "create", "cidr": "10.1.0.0/24", "qos": "gold"}],
}
#: A link of two workers, as Mobius's clients ask for it.
LINK = {
    "sites": {"Simulated:a": {}},
    "compute": [{"name": "w", "site": "Simulated:a", "count": 2}],
    "network": [
        {
            "name": "n",
            "site": "Simulated:a",
            "action": "add",
            "qos": "gold",
            "source": "w-1",
            "destination": "w-2",
            "sourceIP": "10.0.0.1",
            "chameleonSdxControllerIP": "10.0.0.2",
            "linkSpeed": "1000000",
        }
    ],
}


class TestUses:
    def test_a_policy_of_a_network(self) -> None:
        assert set(ignored(**QOS)) == {"network[0].action", "network[0].qos"}

    def test_a_link_of_two_workers(self) -> None:
        found = ignored(**LINK)
        names = ["action", "source", "destination", "sourceIP", "chameleonSdxControllerIP", "linkSpeed", "qos"]
        assert set(found) == {f"network[0].{name}" for name in names}
        assert found["network[0].linkSpeed"] == NO_LINK

    def test_what_is_acted_on_is_not_told(self) -> None:
        cloud = "Jetstream2:IU"
        assert not ignored(
            compute=[{"name": "w", "site": cloud, "count": 1, "image": "i", "key": "k", "network": "n"}],
            network=[{"name": "n", "site": cloud, "action": "create", "cidr": "10.1.0.0/24", "bandwidth": 100}],
            script=[],
        )

    def test_it_depends_on_the_kind_of_site(self) -> None:
        groups = [
            {"name": "l", "site": "Local:here", "count": 1, "image": "i", "postBootScript": "true"},
            {"name": "c", "site": "Jetstream2:IU", "count": 1, "image": "i", "postBootScript": "true"},
            {"name": "s", "site": "Simulated:a", "count": 1, "image": "i", "postBootScript": "true"},
        ]
        volumes = [{"target": group["name"], "mountPoint": "/data", "size": 1} for group in groups]
        assert set(ignored(compute=groups, storage=volumes)) == {
            "compute[0].image",
            "compute[2].image",
            "compute[2].postBootScript",
            "storage[0].target",
            "storage[0].mountPoint",
            "storage[1].mountPoint",
            "storage[2].target",
            "storage[2].mountPoint",
        }

    def test_a_circuit_is_had_at_chameleon_only(self) -> None:
        for site, told in (("Chameleon:CHI@UC", False), ("Jetstream2:IU", True)):
            found = ignored(
                compute=[{"name": "w", "site": site, "count": 1}],
                stitch=[{"target": "w", "portUrl": "http://example.org/p", "tag": 3300}],
            )
            assert ("stitch[0].target" in found) == told
            assert "stitch[0].portUrl" in found
            assert "stitch[0].tag" not in found

    def test_a_leased_vlan_can_be_chosen_but_has_no_policy(self) -> None:
        network = {"name": "n", "site": "Chameleon:CHI@UC", "action": "create", "cidr": "10.1.0.0/24"}
        leased = {**network, "physicalNetwork": "physnet1", "vlan": 3300}
        assert set(ignored(network=[leased])) == {"network[0].cidr"}
        assert set(ignored(network=[{**network, "vlan": 3300}])) == {"network[0].vlan"}

    def test_what_is_at_its_default_is_not_told(self) -> None:
        group = {"name": "w", "site": "Local:here", "count": 1, "floatingIp": False, "slicePolicy": "default"}
        assert not ignored(compute=[group], description="of a fleet")

    def test_a_request_alone(self) -> None:
        part = check_request("stitch", {"target": "w", "portUrl": "http://example.org/p", "tag": 3300})
        (item,) = ignored_in(part)
        assert str(item).startswith("portUrl: accepted, not acted on (")


class TestTold:
    @pytest.mark.parametrize("command", ["validate", "plan"])
    @pytest.mark.parametrize(("spec", "field"), [(QOS, "qos"), (LINK, "linkSpeed")])
    def test_by_commands(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, spec: dict[str, Any], field: str
    ) -> None:
        (tmp_path / "dynamo.toml").write_text('[folders]\nstate = "state"\n')
        monkeypatch.chdir(tmp_path)
        (tmp_path / "spec.json").write_text(json.dumps({"name": "t", **spec}))
        result = CliRunner().invoke(register_all(), [command, "spec.json"])
        assert f"network[0].{field}: accepted, not acted on (" in result.stdout
        result = CliRunner().invoke(register_all(), [command, "spec.json", "--json"])
        data = json.loads(result.stdout)
        told = (data[0] if command == "validate" else data)["not_acted_on"]
        assert f"network[0].{field}" in [item["path"] for item in told]

    def test_a_plan_says_that_workers_would_wait_for_ever(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "dynamo.toml").write_text('[folders]\nstate = "state"\n')
        monkeypatch.chdir(tmp_path)
        (tmp_path / "spec.json").write_text(json.dumps({"name": "t", **QOS}))
        result = CliRunner().invoke(register_all(), ["plan", "spec.json", "--json"])
        assert result.exit_code == 8
        plan = json.loads(result.stdout)
        assert plan["create"] == 0
        assert plan["problems"] == ["w: this kind of site cannot create networks"]

    def test_by_the_schema_and_the_manual_page(self) -> None:
        schema, page = spec_schema()["$defs"], markdown()
        for model in MODELS:
            for name, mark in marks_of(model):
                if not mark.silent:
                    field = model.model_fields[name].alias or name
                    assert str(mark) in schema[model.__name__]["properties"][field]["description"]
                    assert str(mark).replace("|", "\\|") in page
