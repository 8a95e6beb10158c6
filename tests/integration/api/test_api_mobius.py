"""Mobius's REST API as its own clients call it: request files, envelope, codes, the doubly encoded status."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from dynamo.api.mobius.workflows import fleet_name
from dynamo.api.server import ApiServer
from dynamo.provision.keeping.fleet_loop import FleetLoop
from dynamo.provision.ledger import add_workers
from dynamo.store.engine import Store
from dynamo.times import utc_now
from tests.integration.api import test_api
from tests.integration.api.test_api import QUICK, Client, settle, token_of

shared, client, store = test_api.shared, test_api.client, test_api.store

EPOCH = str(int((utc_now() + timedelta(days=3)).timestamp()))
# The values of mobius/test/computeMaster.json, chcomputeMasterPrivNetwork.json, storage.json, network.json,
# stitch.json and python/data/.../script2.json of RENCI-NRIG/Mobius, where everything is in quotes.
EXOGENI = {
    "site": "Exogeni:UFL (Gainesville, FL USA) XO Rack",
    "cpus": "1",
    "gpus": "0",
    "ramPerCpus": "3072",
    "diskPerCpus": "19200",
    "hostNamePrefix": "master",
    "coallocate": "true",
    "imageUrl": "http://geni-images.renci.org/images/kthare10/mobius/mb-centos-7/mb-centos-7.xml",
    "imageName": "mb-centos-7",
    "imageHash": "1cb9bde255314761e10d8c9bde727c69bb2c1ca4",
    "postBootScript": "",
    "leaseEnd": EPOCH,
}
# The same at a cloud that has a driver here.
MASTER = {**EXOGENI, "site": "Jetstream:TACC"}
AWS = {
    "site": "Aws:us-west-1",
    "cpus": "2",
    "gpus": "0",
    "ramPerCpus": "2048",
    "diskPerCpus": "10240",
    "imageName": "ami-0123456789abcdef0",
    "hostNamePrefix": "node",
    "networkType": "private",
    "vpcCidr": "10.20.0.0/16",
    "externalNetwork": "10.20.1.0/24",
    "networkCidr": "10.20.2.0/24",
}
CHAMELEON = {
    "site": "Chameleon:CHI@TACC",
    "cpus": "50",
    "gpus": "0",
    "ramPerCpus": "4096",
    "diskPerCpus": "5000",
    "hostNamePrefix": "worker",
    "imageName": "CC-CentOS7",
    "networkType": "private",
    "physicalNetwork": "physnet1",
    "externalNetwork": "public",
    "networkCidr": "192.158.100.0/24",
}
STORAGE = {"mountPoint": "/mnt/", "target": "master0", "size": "1", "action": "add"}
NETWORK = {
    "source": "master0",
    "sourceIP": "192.168.10.2",
    "sourceSubnet": "192.168.10.1/24",
    "destination": "worker1",
    "destinationIP": "192.168.20.2",
    "destinationSubnet": "192.168.20.1/24",
    "action": "add",
}
STITCH = {
    "target": "worker0",
    "portUrl": "http://geni-orca.renci.org/owl/ion.rdf#AL2S/Chameleon/Cisco/6509/GigabitEthernet/1/1",
    "tag": "3291",
}
SCRIPT = {"target": "worker", "name": "routes", "script": "ip route add 192.168.20.0/24 via 192.168.30.6\n"}


def call(client: httpx.Client, method: str, path: str, workflow: str | None, status: int = 200, **more: Any) -> Any:
    """Call as Mobius's clients do and return the value of the envelope."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    params = {} if workflow is None else {"workflowID": workflow}
    response = client.request(method, f"/mobius{path}", params=params, headers=headers, **more)
    data = response.json()
    assert set(data) == {"status", "message", "value", "version"}
    assert data["version"] == "0.1"
    assert data["status"] == response.status_code == status, response.text
    if status == 200:
        assert data["message"] == "Success"
        return data["value"]
    assert data["value"] is None
    return data["message"]


def spec_of(client: Client, workflow: str) -> Any:
    return client.ok("GET", f"/v1/fleets/{fleet_name(workflow)}/spec")


def test_the_request_files_of_mobius_are_taken(client: Client) -> None:
    workflow = "CASA-Nowcast_1"
    assert call(client, "POST", "/workflow", workflow) is None
    for path, body, ignored in (
        ("/compute", MASTER, {"imageUrl", "imageHash"}),
        ("/compute", CHAMELEON, {"externalNetwork", "networkCidr"}),
        ("/compute", MASTER, {"imageUrl", "imageHash"}),
        ("/storage", STORAGE, {"mountPoint"}),
        ("/stitch", STITCH, {"portUrl"}),
        ("/script", SCRIPT, {"name"}),
    ):
        value = call(client, "POST", path, workflow, json=body)
        assert {item["path"] for item in value["not_acted_on"]} == ignored, path
    spec = spec_of(client, workflow)
    assert [(group["name"], group["site"], group["cpus"]) for group in spec["compute"]] == [
        ("master", MASTER["site"], 1),
        ("worker", CHAMELEON["site"], 50),
        ("master-2", MASTER["site"], 1),
    ]
    assert spec["compute"][0]["coallocate"] is True
    assert set(spec["sites"]) == {MASTER["site"], CHAMELEON["site"]}
    assert [len(spec[kind]) for kind in ("storage", "stitch", "script")] == [1, 1, 1]
    assert workflow in call(client, "GET", "/listWorkflows", None)

    later = str(int(EPOCH) + 86400)
    renew = {**STORAGE, "target": "master-2", "leaseStart": "1548257437", "leaseEnd": later, "action": "renew"}
    call(client, "POST", "/storage", workflow, json=renew)
    call(client, "POST", "/storage", workflow, json={**STORAGE, "action": "delete"})
    assert "no such storage" in call(client, "POST", "/storage", workflow, 404, json={**STORAGE, "action": "delete"})
    spec = spec_of(client, workflow)
    assert "network" not in spec
    assert "storage" not in spec
    ends = [group.get("leaseEnd") for group in spec["compute"]]
    assert ends[0] != ends[2]
    assert ends[1] is None

    # As its Python clients read the status.
    value = call(client, "GET", "/workflow", workflow)
    sites = json.loads(json.loads(value)["workflowStatus"])
    assert [site["site"] for site in sites] == [MASTER["site"], CHAMELEON["site"]]
    assert all("Chameleon" in part["slice"] for part in sites[1]["slices"])
    assert call(client, "DELETE", "/workflow", workflow) is None
    call(client, "POST", "/compute", workflow, 503, json=MASTER)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/compute", AWS, "no driver for the cloud Aws"),
        ("/compute", EXOGENI, "no driver for the cloud Exogeni"),
        ("/compute", {**MASTER, "site": "Kubernetes:here"}, "no driver for the cloud Kubernetes"),
        ("/network", NETWORK, "can link two workers"),
        ("/network", {**NETWORK, "action": "update"}, "can link two workers"),
        ("/stitch", {**STITCH, "target": "master0"}, "circuits are unavailable at openstack sites"),
        ("/sdxPrefix", {"gatewayIP": "10.0.0.1", "sourceSubnet": "10.0.0.0/24"}, "no exchange (SDX)"),
    ],
)
def test_what_is_not_carried_out_is_no_success(client: Client, path: str, body: dict[str, str], words: str) -> None:
    workflow = "not-carried-out"
    if workflow not in call(client, "GET", "/listWorkflows", None):
        call(client, "POST", "/workflow", workflow)
        call(client, "POST", "/compute", workflow, json=MASTER)
    before = spec_of(client, workflow)
    assert words in call(client, "POST", path, workflow, 501, json=body)
    assert spec_of(client, workflow) == before


def test_volumes_and_scripts_that_no_simulated_worker_gets(client: Client) -> None:
    workflow = "simulated-only"
    call(client, "POST", "/workflow", workflow)
    call(client, "POST", "/compute", workflow, json={"site": "Simulated:a", "count": 1, "name": "worker"})
    told = call(client, "POST", "/storage", workflow, 501, json={**STORAGE, "target": "worker"})
    assert "volumes cannot be created at simulated sites, where worker is" in told
    assert "scripts are not run at simulated sites" in call(client, "POST", "/script", workflow, 501, json=SCRIPT)


def test_a_script_for_workers_that_have_started_is_no_success(client: Client, store: Store) -> None:
    workflow = "late-script"
    call(client, "POST", "/workflow", workflow)
    call(client, "POST", "/compute", workflow, json=CHAMELEON)
    call(client, "POST", "/script", workflow, json=SCRIPT)
    row = {"name": "worker-abc123-1", "state": "booting", "group": "worker", "site": CHAMELEON["site"]}
    times = {"since": utc_now(), "requested_at": utc_now(), "reason": "", "flavor": "x", "cpus": 1, "ram_mb": 1}
    with store.transaction() as session:
        add_workers(session, workflow, [{**row, **times, "cost_per_hour": 0.0}])
    told = call(client, "POST", "/script", workflow, 501, json=SCRIPT)
    assert "scripts run at the first boot only" in told
    assert "worker-abc123-1" in told
    assert len(spec_of(client, workflow)["script"]) == 1


def test_nodes_become_active(client: Client, store: Store) -> None:
    workflow = "casa live"
    call(client, "POST", "/workflow", workflow)
    name = fleet_name(workflow)
    worker = {"site": "Simulated:a", "cpus": "2", "hostNamePrefix": "worker", "unknownField": {"a": 1}}
    call(client, "POST", "/compute", workflow, json=worker)
    # What Mobius has in its own configuration, an operator sets in the spec.
    spec = spec_of(client, workflow)
    spec["sites"]["Simulated:a"]["options"] = QUICK
    spec |= {"policy": {"cycle_s": 0.1, "collector_grace_s": 0}}
    client.ok("POST", f"/v1/fleets?name={name}", 202, json={**spec, "name": name})

    def nodes() -> list[dict[str, str]]:
        sites = json.loads(json.loads(call(client, "GET", "/workflow", workflow))["workflowStatus"])
        return [node for site in sites for part in site["slices"] for node in part["nodes"]]

    with FleetLoop(store, name) as loop:
        settle(loop, lambda: {node["state"] for node in nodes()} == {"Active"})
        before = len(nodes())
        call(client, "POST", "/compute", workflow, json={**worker, "hostNamePrefix": "more"})
        settle(loop, lambda: len(nodes()) > before and {node["state"] for node in nodes()} == {"Active"})
        assert {node["name"].split("-")[0] for node in nodes()} == {"worker", "more"}
        call(client, "DELETE", "/workflow", workflow)
        settle(loop, lambda: workflow not in call(client, "GET", "/listWorkflows", None))
    assert call(client, "GET", "/workflow", workflow, 404).endswith("Workflow does not exist")
    # The id is free again.
    call(client, "POST", "/workflow", workflow)
    assert json.loads(json.loads(call(client, "GET", "/workflow", workflow))["workflowStatus"]) == []


def test_requests_leave_what_was_scaled_by_hand(client: Client) -> None:
    workflow = "by-hand"
    call(client, "POST", "/workflow", workflow)
    group = {"site": "Simulated:a", "count": 1, "max": 5, "name": "one"}
    call(client, "POST", "/compute", workflow, json=group)
    client.ok("PUT", f"/v1/fleets/{workflow}/groups/one", 202, json={"wanted": 4})
    call(client, "POST", "/compute", workflow, json={"site": "Simulated:a", "cpus": "2", "hostNamePrefix": "two"})
    shown = client.ok("GET", f"/v1/fleets/{workflow}")
    assert [(found["group"], found["wanted"], found["source"]) for found in shown["groups"]] == [
        ("one", 4, "operator"),
        ("two", None, "spec"),
    ]


def test_codes_and_messages_are_those_of_mobius(client: Client, shared: tuple[Store, ApiServer, Path]) -> None:
    assert call(client, "POST", "/workflow", None, 400) == "WorkflowId is required"
    assert call(client, "POST", "/compute", "none", 404, json=MASTER).endswith("Workflow does not exist")
    for method in ("GET", "DELETE"):
        assert call(client, method, "/workflow", None, 400) == "WorkflowId is required"
        call(client, method, "/workflow", "none", 404)
    call(client, "POST", "/workflow", "codes")
    assert call(client, "POST", "/workflow", "codes", 400) == "Workflow Id already in use"
    past, long_past = utc_now() - timedelta(minutes=1), utc_now() - timedelta(minutes=10)
    ended = {**MASTER, "leaseEnd": "1576782731"}
    assert "endTime is before currTime" in call(client, "POST", "/compute", "codes", 400, json=ended)
    begun = {**MASTER, "leaseStart": str(int(long_past.timestamp()))}
    assert "startTime is before currentTime" in call(client, "POST", "/compute", "codes", 400, json=begun)
    call(client, "POST", "/compute", "codes", json={**MASTER, "leaseStart": str(int(past.timestamp()))})
    for path, body, words in (
        ("/compute", {**MASTER, "cpus": "two"}, "cpus"),
        ("/compute", {key: value for key, value in MASTER.items() if key != "site"}, "site"),
        ("/compute", {**MASTER, "site": "Nowhere"}, "Cloud:Region"),
        ("/compute", {"site": "Local:here", "count": 1, "postBootScript": "id"}, "server itself"),
        ("/compute", {"site": "Simulated:a", "count": 1}, "simulated"),
        ("/compute", [MASTER], "object"),
        ("/storage", {**STORAGE, "action": "burn"}, "action"),
        ("/storage", {**STORAGE, "target": "unknown"}, "unknown"),
        ("/script", {"target": "master"}, "script"),
    ):
        assert words in call(client, "POST", path, "codes", 400, json=body)
    call(client, "GET", "/nothing", "codes", 404)
    call(client, "PUT", "/workflow", "codes", 405)
    refused = client.put("/mobius/workflow", params={"workflowID": "codes"})
    assert refused.headers["Allow"] == "DELETE, GET, POST"
    assert client.put("/v1/fleets").headers["Allow"] == "GET, POST"
    assert client.put("/v1/fleets/codes").headers["Allow"] == "DELETE, GET"
    with httpx.Client(base_url=shared[1].url) as stranger:
        call(stranger, "GET", "/listWorkflows", None, 401)


def test_no_script_runs_on_the_server_itself(client: Client) -> None:
    call(client, "POST", "/workflow", "scripts")
    call(client, "POST", "/compute", "scripts", json={**CHAMELEON, "postBootScript": "id"})
    call(client, "POST", "/script", "scripts", json=SCRIPT)
    local = {"site": "Local:here", "count": 1}
    assert "server itself" in call(client, "POST", "/compute", "scripts", 400, json=local)
    call(client, "POST", "/workflow", "scripts-2")
    call(client, "POST", "/compute", "scripts-2", json=local)
    for target in ("local-here-1", "127.0.0.1"):
        script = {**SCRIPT, "target": target}
        assert "server itself" in call(client, "POST", "/script", "scripts-2", 400, json=script)


def test_clients_that_know_no_tokens_send_them_as_passwords(
    store: Store, shared: tuple[Store, ApiServer, Path]
) -> None:
    # Mobius's Python client takes them from ~/.netrc, or from its address: http://mobius:dyn_...@HOST/mobius
    token = token_of(store, "read", name="netrc")
    with httpx.Client(base_url=shared[1].url, auth=("mobius", token)) as client:
        assert isinstance(call(client, "GET", "/listWorkflows", None), list)
        # With the host in ~/.netrc, clients send that to /v1 as well, whatever else they were given.
        assert client.get("/v1/fleets").status_code == 200
        refused = client.get("/v1/fleets", auth=("mobius", "dyn_wrong"))
        assert refused.status_code == 401
        assert "Basic" not in refused.headers["WWW-Authenticate"]
        assert "netrc is a viewer; expected the role operator" in call(client, "POST", "/workflow", "x", 403)


@pytest.mark.parametrize(
    "workflow",
    ["a", "CASA", "casa nowcast", "Wetter-Überwachung", "x/../y", "a" * 200, "-", "casa_1", "casa-1", "fleet"],
)
def test_every_id_has_a_name_and_comes_back(client: Client, workflow: str) -> None:
    call(client, "POST", "/workflow", workflow)
    assert workflow in call(client, "GET", "/listWorkflows", None)
    call(client, "GET", "/workflow", workflow)
    assert fleet_name(workflow) != fleet_name("q" + workflow[1:])


def test_odd_ids_are_refused(client: Client) -> None:
    for workflow in ("", "a" * 201, "\u202e"):
        call(client, "POST", "/workflow", workflow, 400)
