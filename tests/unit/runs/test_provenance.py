"""A run in the words of W3C PROV-JSON and OpenLineage: every reference resolves, and nothing is told twice."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo.runs.provenance.openlineage import RunStep, run_event, run_id
from dynamo.runs.provenance.prov import prov_json
from dynamo.runs.publish import export, publish

AT = datetime(2026, 4, 1, 18, 2, 30, tzinfo=UTC)
SHA = {name: name * 64 for name in "abcde"}
INDEX: dict[str, Any] = {
    "run": "abcdefabcdef",
    "key": "abcdefabcdef" + "0" * 52,
    "folder": "/data/products/nowcast/20260401/180200-abcdefabcdef",
    "workflow": "nowcast",
    "version": "1.0",
    "document_sha256": SHA["a"],
    "description": "Storm contours",
    "software": "dynamo 0.1.0",
    "modules": {"contour": "3", "split": "1"},
    "engine": "condor",
    "trigger": "storms",
    "radar": "KFWS",
    "inputs": [{"port": "nowcast", "path": "/in/a b.nc", "sha256": SHA["b"], "bytes": 7}],
    "parameters": {"levels": [45.0]},
    "times": {"issue": "2026-04-01T18:02:00Z", "created": "2026-04-01T18:02:10Z", "started": "2026-04-01T18:02:20Z"}
    | {"finished": "2026-04-01T18:02:29Z"},
    "products": [
        {"name": "one.geojson", "sha256": SHA["c"], "bytes": 3, "valid_at": "2026-04-01T18:03:00Z"},
        {"name": "same as one.geojson", "sha256": SHA["c"], "bytes": 3},
    ],
}
#: The ends of each relation, and the kinds of records they name (PROV-JSON 3.2).
ENDS = {
    "used": {"prov:activity": "activity", "prov:entity": "entity"},
    "wasGeneratedBy": {"prov:entity": "entity", "prov:activity": "activity"},
    "specializationOf": {"prov:specificEntity": "entity", "prov:generalEntity": "entity"},
    "wasAssociatedWith": {"prov:activity": "activity", "prov:agent": "agent", "prov:plan": "entity"},
}


def test_prov_json_has_the_structure_of_the_submission() -> None:
    document = prov_json(INDEX)
    assert set(document) == {"prefix", "entity", "activity", "agent", *ENDS}
    prefixes = {*document["prefix"], "prov", "xsd", "_"}
    for kind in ("entity", "activity", "agent", *ENDS):
        for name, record in document[kind].items():
            assert name.partition(":")[0] in prefixes
            assert " " not in name
            assert {key.partition(":")[0] for key in record} <= prefixes
    for relation, ends in ENDS.items():
        for record in document[relation].values():
            named = {end: kind for end, kind in ends.items() if end in record}
            assert len(named) >= 2
            for end, kind in named.items():
                assert record[end] in document[kind]


def test_prov_json_tells_inputs_document_products_times_and_software() -> None:
    document = prov_json(INDEX)
    (run,) = document["activity"]
    activity = document["activity"][run]
    assert (activity["prov:startTime"], activity["prov:endTime"]) == ("2026-04-01T18:02:20Z", "2026-04-01T18:02:29Z")
    assert orjson.loads(activity["dynamo:parameters"]) == {"levels": [45.0]}
    used = {record["prov:entity"]: record.get("prov:role") for record in document["used"].values()}
    assert used == {f"sha256:{SHA['a']}": None, f"sha256:{SHA['b']}": "nowcast"}
    versions = {
        agent["dynamo:module"]: agent["dynamo:version"] for agent in document["agent"].values() if len(agent) > 2
    }
    assert versions == {"contour": "3", "split": "1"}


def test_products_of_equal_content_are_each_generated_once() -> None:
    document = prov_json(INDEX)
    made = [record["prov:entity"] for record in document["wasGeneratedBy"].values()]
    assert len(made) == len(set(made)) == 2
    assert {record["prov:generalEntity"] for record in document["specializationOf"].values()} == {f"sha256:{SHA['c']}"}


@pytest.mark.parametrize("kind", ["START", "COMPLETE", "FAIL", "ABORT"])
def test_openlineage_events_have_what_the_specification_requires(kind: Any) -> None:
    event = run_event(INDEX, RunStep(kind, AT, 1, "disk full"), namespace="dallas")
    assert {"eventTime", "producer", "schemaURL", "run", "job"} <= set(event)
    assert event["eventType"] == kind
    assert datetime.fromisoformat(event["eventTime"]) == AT
    uuid.UUID(event["run"]["runId"])
    assert (event["job"]["namespace"], event["job"]["name"]) == ("dallas", "nowcast")
    datasets = [*event["inputs"], *event["outputs"]]
    assert all(item["namespace"] == "file" and item["name"].startswith("/") for item in datasets)
    facets = [event["run"]["facets"], event["job"]["facets"], *(item["facets"] for item in datasets)]
    for facet in (one for some in facets for one in some.values()):
        assert {"_producer", "_schemaURL"} <= set(facet)
        assert facet["_schemaURL"].startswith("https://openlineage.io/spec/")
    assert len(event["outputs"]) == (2 if kind == "COMPLETE" else 0)
    assert ("errorMessage" in event["run"]["facets"]) == (kind == "FAIL")


def test_each_attempt_is_a_run_of_its_own_and_its_events_belong_together() -> None:
    first, again = run_id(INDEX["run"], 1), run_id(INDEX["run"], 2)
    assert first != again
    events = [run_event(INDEX, RunStep(kind, AT, 1), namespace="x") for kind in ("START", "COMPLETE")]
    assert {event["run"]["runId"] for event in events} == {first}


def test_prov_json_lies_beside_the_index_and_is_exported_with_it(tmp_path: Path) -> None:
    (tmp_path / "one.geojson").write_text("{}")
    facts = {name: value for name, value in INDEX.items() if name not in ("products", "key", "folder")}
    made = publish(
        tmp_path,
        ["one.geojson"],
        root=tmp_path / "products",
        workflow="nowcast",
        key=INDEX["key"],
        valid_at=AT,
        facts=facts,
        describe_origin=prov_json,
    )
    export(made, tmp_path / "out")
    document = orjson.loads((made.folder / "prov.json").read_bytes())
    assert document == orjson.loads((tmp_path / "out" / "prov.json").read_bytes()) == prov_json(made.index)
    assert [item["name"] for item in made.index["products"]] == ["one.geojson"]
