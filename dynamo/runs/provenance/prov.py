"""A run as W3C PROV-JSON (https://www.w3.org/Submission/prov-json/): entities, one activity, and software agents.

Content is an entity named by its checksum, so that documents of several runs join: a product is a *specialization* of
its content, and a run *uses* content. Files of the same content that several runs make stay apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_PREFIXES = {
    "dynamo": "urn:dynamo:",
    "run": "urn:dynamo:run:",
    "product": "urn:dynamo:product:",
    "module": "urn:dynamo:module:",
    "sha256": "urn:sha256:",
}
_AGENT = {"prov:type": {"$": "prov:SoftwareAgent", "type": "prov:QUALIFIED_NAME"}}


def prov_json(index: Mapping[str, Any]) -> dict[str, Any]:
    """Return the PROV-JSON document of a run.

    Parameters
    ----------
    index
        The run's index; see `dynamo.runs.record.index_facts`.

    Returns
    -------
    dict
        Entities: the content of each input, the workflow document, each product and its content. Activity: the run,
        with its times and parameters. Agents: DyNamo, and each module with its version.
    """
    run, document = f"run:{index['run']}", f"sha256:{index['document_sha256']}"
    software = f"dynamo:{quote(str(index['software']), safe='')}"
    modules = {f"module:{quote(name)}-{quote(version)}": (name, version) for name, version in index["modules"].items()}
    entities: dict[str, dict[str, Any]] = {document: _document(index)}
    used = [_relation(activity=run, entity=document)]
    for item in index["inputs"]:
        content = f"sha256:{item['sha256']}"
        entities.setdefault(content, _content(item["path"], item["bytes"]))
        used.append({**_relation(activity=run, entity=content), "prov:role": item["port"]})
    made, contents = [], []
    for item in index["products"]:
        product, content = f"product:{index['key']}/{quote(item['name'])}", f"sha256:{item['sha256']}"
        entities.setdefault(content, _content(item["name"], item["bytes"]))
        entities[product] = _product(item)
        made.append(_relation(entity=product, activity=run))
        contents.append(_relation(specificEntity=product, generalEntity=content))
    return {
        "prefix": _PREFIXES,
        "entity": entities,
        "activity": {run: _activity(index)},
        "agent": {
            software: {**_AGENT, "prov:label": index["software"]},
            **{
                module: {**_AGENT, "dynamo:module": name, "dynamo:version": version}
                for module, (name, version) in modules.items()
            },
        },
        "used": _named("u", used),
        "wasGeneratedBy": _named("g", made),
        "specializationOf": _named("s", contents),
        "wasAssociatedWith": _named(
            "a",
            [
                _relation(activity=run, agent=software, plan=document),
                *(_relation(activity=run, agent=module) for module in modules),
            ],
        ),
    }


def _activity(index: Mapping[str, Any]) -> dict[str, Any]:
    times = index["times"]
    begin, end = times.get("started") or times.get("created"), times.get("finished")
    return {
        **({"prov:startTime": begin} if begin else {}),
        **({"prov:endTime": end} if end else {}),
        "prov:type": {"$": "dynamo:Run", "type": "prov:QUALIFIED_NAME"},
        "dynamo:workflow": index["workflow"],
        "dynamo:version": index["version"],
        "dynamo:key": index["key"],
        "dynamo:engine": index["engine"],
        "dynamo:trigger": index["trigger"],
        "dynamo:radar": index["radar"],
        "dynamo:parameters": json.dumps(index["parameters"], sort_keys=True),
        **({"dynamo:valid_time": _time(times["issue"])} if times.get("issue") else {}),
    }


def _document(index: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prov:type": {"$": "prov:Plan", "type": "prov:QUALIFIED_NAME"},
        "prov:label": f"{index['workflow']} {index['version']}",
    }


def _content(name: str, size: int) -> dict[str, Any]:
    return {"prov:label": name.rpartition("/")[2], "dynamo:bytes": {"$": str(size), "type": "xsd:long"}}


def _product(item: Mapping[str, Any]) -> dict[str, Any]:
    valid_at = item.get("valid_at")
    return {"prov:label": item["name"], **({"dynamo:valid_time": _time(valid_at)} if valid_at else {})}


def _time(text: str) -> dict[str, str]:
    return {"$": text, "type": "xsd:dateTime"}


def _relation(**ends: str) -> dict[str, Any]:
    return {f"prov:{role}": name for role, name in ends.items()}


def _named(letter: str, relations: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {f"_:{letter}{number}": relation for number, relation in enumerate(relations, 1)}
