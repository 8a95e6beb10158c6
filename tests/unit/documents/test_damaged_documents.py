"""Documents of all kinds, damaged at random: each is read or refused with one of our errors, never with a traceback.

``--damaged N`` says how many documents of each kind to damage.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo.alerts.places import read_places
from dynamo.config.alerts import AlertsSection
from dynamo.config.file import ConfigError, load_config
from dynamo.documents.loading import read_data
from dynamo.documents.notation import in_toml
from dynamo.engines.base import RunFolder
from dynamo.engines.condor.handle import Handle, read_handle
from dynamo.engines.results import count_results
from dynamo.errors import DynamoError
from dynamo.inspection.facts import InputFacts
from dynamo.modules.registry import contracts
from dynamo.pool.record import read_record
from dynamo.provision.spec.loading import load_spec
from dynamo.runs.publish import read_publication
from dynamo.runs.results import read_results
from dynamo.watch.check import config_mistakes, file_mistakes
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.pegasus.abstract import abstract_workflow
from dynamo.workflows.pegasus.check import check
from dynamo.workflows.workflow import plan_run, read_workflow, templates
from tests.unit.documents.damage import damaged

#: Each document is damaged hundreds of times.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
FACTS = InputFacts("casa-nowcast", datetime(2019, 6, 10, tzinfo=UTC), tuple(range(3)), (201, 201))


@dataclass(frozen=True)
class Kind:
    """One kind of document.

    Attributes
    ----------
    name
        Name of its file.
    sound
        Sound documents as data.
    dump, read
        Write the data as text; read the file, as DyNamo does.
    """

    name: str
    sound: Callable[[], list[Any]]
    dump: Callable[[Any], str]
    read: Callable[[Path], object]


def _json(data: Any) -> str:
    return json.dumps(data, indent=1)


def _yaml(data: Any) -> str:
    return yaml.safe_dump(data, allow_unicode=True)


def _toml(data: Any) -> str:
    """Return data as TOML; what is not a table is written as one that is not TOML."""
    if not isinstance(data, dict):
        return str(data)
    return "\n".join(f"{json.dumps(str(name))} = {in_toml(value)}" for name, value in data.items())


def _configs() -> list[Any]:
    import tomllib

    with (ROOT / "docs" / "reference" / "dynamo.toml").open("rb") as stream:
        short = tomllib.load(stream)
    feeds = [{"name": "a", "path": "."}, {"name": "b", "kind": "products", "workflow": "hail"}]
    own: dict[str, Any] = {
        "runs": {"engine": "condor", "max_runs": 2},
        "engines": {"local": {"options": {"workers": 2}}, "condor": {"options": {"submit": {"rank": "Mips"}}}},
        "feeds": feeds,
        "triggers": [
            {"name": "t", "feed": "a", "workflow": "nowcast", "parameters": {"levels": [35, 45]}},
            {"name": "u", "kind": "precursor", "feed": "a", "workflow": "hail", "precursor": {"hold_min": 20.0}},
            {
                "name": "v",
                "kind": "gather",
                "feed": "b",
                "workflow": "hail_composite",
                "gather": {"radars": ["A", "B"]},
            },
            {"name": "w", "kind": "schedule", "feed": "a", "workflow": "nowcast", "every_min": 5},
        ],
        "alerts": {"places": "p.json", "channels": [{"name": "f", "kind": "file", "path": "x"}]},
        "autoscale": {"policy": "predictive", "options": {}, "sites": {"hail": "Local:here"}},
    }
    return [short, own]


def _read_config(path: Path) -> object:
    try:
        return config_mistakes(load_config(path))
    except ConfigError as error:
        return file_mistakes(error)


def _plan() -> Any:
    workflow = read_workflow("nowcast", contracts())
    return plan_run(workflow, {"nowcast": Path("/data/in.nc")}, {"levels": "35,45.5"}, {"nowcast": FACTS}, contracts())


def _abstract() -> list[Any]:
    plan = _plan()
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    data = abstract_workflow(plan, layout, contracts())
    data["replicaCatalog"] = {"replicas": [{"lfn": "in.nc", "pfns": [{"site": "local", "pfn": "/data/in.nc"}]}]}
    return [data]


def _read_workflow(path: Path) -> object:
    workflow = read_workflow(path, contracts())
    inputs = {name: Path("/data/in.nc") for name in workflow.inputs}
    return plan_run(workflow, inputs, {}, dict.fromkeys(inputs, FACTS), contracts())


def _plan_files() -> list[Any]:
    workflow = _abstract()[0]
    sites = {
        "pegasus": "5.0.4",
        "sites": [
            {"name": "condorpool", "profiles": {"pegasus": {"style": "condor"}, "condor": {"universe": "vanilla"}}},
            {"name": "local", "directories": [{"type": "sharedScratch", "fileServers": [{"url": "file:///x"}]}]},
        ],
    }
    transformations = {
        "pegasus": "5.0.4",
        "containers": [{"name": "c"}],
        "transformations": [
            {"name": "split", "sites": [{"name": "condorpool", "type": "installed", "container": "c"}]}
        ],
    }
    replicas = {"pegasus": "5.0.4", "replicas": [{"lfn": "in.nc", "pfns": [{"site": "local", "pfn": "/in.nc"}]}]}
    return [{"workflow": workflow, "sites": sites, "transformations": transformations, "replicas": replicas}]


def _check_plan_files(path: Path) -> object:
    data = read_data(path)
    parts = data if isinstance(data, dict) else {}
    workflow, sites, transformations, replicas = (
        parts.get(name) for name in ("workflow", "sites", "transformations", "replicas")
    )
    return check(workflow, sites, transformations, replicas, {"pegasus.register": "false"}, site="condorpool")


def _specs() -> list[Any]:
    names = ("local", "chameleon", "jetstream2", "multicloud")
    return [json.loads((ROOT / "mobius_specs" / f"{name}.json").read_text()) for name in names]


def _places() -> list[Any]:
    square = [[[-97.0, 32.0], [-96.0, 32.0], [-96.0, 33.0], [-97.0, 32.0]]]
    shapes = [
        {"type": "Point", "coordinates": [-97.92, 31.25]},
        {"type": "Polygon", "coordinates": square},
        {"type": "LineString", "coordinates": square[0]},
    ]
    wishes = {"distance_km": 5, "level_dbz": 45.5, "products": ["hail"], "channels": ["f"], "locality": "Texas"}
    features = [
        {"type": "Feature", "id": index, "geometry": shape, "properties": {"name": f"place {index}", **wishes}}
        for index, shape in enumerate(shapes)
    ]
    return [{"type": "FeatureCollection", "features": features}]


def _read_places(path: Path) -> object:
    settings = AlertsSection.model_validate({"channels": [{"name": "f", "kind": "file", "path": "x"}]})
    return [place.name for place in read_places(path, settings).places]


def _handles() -> list[Any]:
    handle = vars(Handle("tag", "2026-01-01T00:00:00Z", cluster=7))
    result = {"job": "a", "module": "split", "state": "succeeded", "wall_s": 1.0, "cpu_s": 1.0, "metrics": {"n": 1}}
    index = {"key": "k", "products": [{"name": "a.png", "sha256": "0", "bytes": 5, "valid_at": "2026-01-01T00:00:00Z"}]}
    record = {"id": "x", "state": "s", "config": "c", "boot": "b", "slots": 2}
    return [handle, result, index, record]


def _read_handles(path: Path) -> object:
    """Read one file as each of the small files of runs, products and pools."""
    raw = path.read_bytes()
    folder = RunFolder(path.parent / "run")
    folder.results.mkdir(parents=True, exist_ok=True)
    (folder.results / "t.jsonl").write_bytes(raw.replace(b"\n", b" ") + b"\n")
    for name in ("engine.json", "plan.json", "layout.json", "index.json", "pool.json"):
        (folder.root / name).write_bytes(raw)
    read_results(folder)
    read_record(folder.root)
    refused = 0
    for read in (
        read_handle,
        RunFolder.read_plan,
        RunFolder.read_layout,
        lambda item: count_results(item, "running", ""),
        lambda item: read_publication(item.root),
    ):
        try:
            read(folder)
        except DynamoError as error:
            refused += bool(str(error))
    return refused


def _stored_plans() -> list[Any]:
    from dynamo.workflows.model import plan_to_json

    return [plan_to_json(_plan())]


KINDS = {
    "configuration": Kind("dynamo.toml", _configs, _toml, _read_config),
    "workflow": Kind(
        "w.json", lambda: [json.loads(path.read_text()) for path in templates().values()], _json, _read_workflow
    ),
    "pegasus": Kind("w.yml", _abstract, _yaml, _read_workflow),
    "plan files": Kind("p.yml", _plan_files, _yaml, _check_plan_files),
    "fleet": Kind("spec.json", _specs, _json, load_spec),
    "places": Kind("places.geojson", _places, _json, _read_places),
    "handles": Kind("handle.json", _handles, _json, _read_handles),
    "plans": Kind("plan.json", _stored_plans, _json, _read_handles),
}


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    """How many documents of each kind to damage."""
    return int(request.config.getoption("--damaged"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_document_is_read_or_refused(
    kind: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document = KINDS[kind]
    sound = document.sound()
    path = tmp_path / document.name
    refused = 0
    for number in range(count):
        rng = random.Random(f"{kind} {number}")
        raw = damaged(sound[number % len(sound)], document.dump, rng)
        path.write_bytes(raw)
        told = ""
        try:
            document.read(path)
        except DynamoError as error:
            refused += 1
            told = str(error)
        except Exception as error:
            keep = tmp_path.parent / f"{number}-{document.name}"
            keep.write_bytes(raw)
            pytest.fail(f"{kind} {number}, kept as {keep}: {type(error).__name__}: {error}")
        assert told.isprintable(), (number, raw)
    # Most damage makes a document wrong: a reader that takes everything does not look.
    assert kind in ("configuration", "plan files", "handles", "plans") or refused > count / 4
