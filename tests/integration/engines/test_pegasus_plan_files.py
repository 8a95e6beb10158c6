"""The files for pegasus-plan, written by the command line from a real nowcast file.

The planner itself (Java) is on neither PyPI nor Debian; what can be checked without it is checked: Pegasus's
own loader of properties, the schema rules of its YAML, and everything that the planner takes in silence.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import typer
from Pegasus import yaml as pegasus_yaml
from Pegasus.api import Properties
from typer.testing import CliRunner

from dynamo.cli.parts.workflow import register
from dynamo.documents.problems import Problem
from dynamo.formats.nowcast import NowcastHeader, write_nowcast
from dynamo.modules.registry import contracts
from dynamo.radar.grid import LatLonGrid
from dynamo.workflows.pegasus.check import check as check_documents
from dynamo.workflows.pegasus.write import FILES, LINKS, planner_command
from dynamo.workflows.workflow import read_workflow

SHAPE = (60, 80)
LEADS = 31
LFN = "MERGE_DARTS_201906100005.nc"


@pytest.fixture(scope="module")
def nowcast(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in") / "nowcast.nc"
    grid = LatLonGrid(north_deg=33.5, west_deg=-98.0, dlat_deg=0.005, dlon_deg=0.005, nlat=SHAPE[0], nlon=SHAPE[1])
    header = NowcastHeader(grid, datetime(2019, 6, 10, 0, 5, tzinfo=UTC), LEADS)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    write_nowcast(
        path,
        header,
        (60 * np.exp(-((rows - 30) ** 2 + (columns - 20 - lead) ** 2) / 200) for lead in range(LEADS)),
    )
    return path


def run(*arguments: str) -> Any:
    app = typer.Typer()
    register(app)
    return CliRunner().invoke(app, ["workflow", *arguments])


def plan(nowcast: Path, folder: Path, *more: str) -> dict[str, Any]:
    result = run("plan", "nowcast", "--input", f"nowcast={nowcast}", "-o", str(folder), "--json", *more)
    assert result.exit_code == 0, result.output
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def load(path: Path) -> Any:
    with path.open() as stream:
        return pegasus_yaml.load(stream)


def problems_of(folder: Path) -> tuple[Problem, ...]:
    properties = Properties.load(folder / "pegasus.properties")
    names = [line.split(" = ")[0] for line in (folder / "pegasus.properties").read_text().splitlines() if " = " in line]
    workflow, sites, transformations, replicas = (load(folder / name) for name in FILES if name.endswith(".yml"))
    given = {name: properties[name] for name in names}
    return check_documents(workflow, sites, transformations, replicas, given, site="condorpool")


VERSION = {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+(\.[0-9]+)?)?$"}
IDENTITY = {"type": "string", "pattern": r"^[-0-9a-zA-Z_]+$"}
TEXTS = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "string"}}
PROFILES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        name: {"type": "object", "additionalProperties": {"type": ["string", "number"]}}
        for name in ("env", "condor", "globus", "dagman", "pegasus", "hints", "selector")
    },
}
#: The rules of Pegasus's schema of abstract workflows (wf-5.0) that concern what we write.
WORKFLOW_RULES = {
    "type": "object",
    "required": ["pegasus", "name", "jobs"],
    "additionalProperties": False,
    "properties": {
        "pegasus": VERSION,
        "name": IDENTITY,
        "metadata": TEXTS,
        "jobs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "name", "id", "arguments", "uses"],
                "properties": {
                    "id": IDENTITY,
                    "arguments": {"type": "array", "items": {"type": "string"}},
                    "metadata": TEXTS,
                    "profiles": PROFILES,
                    "uses": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["lfn", "type"],
                            "additionalProperties": False,
                            "properties": {
                                "lfn": {"type": "string"},
                                "type": {"enum": ["input", "output"]},
                                "metadata": TEXTS,
                                "stageOut": {"type": "boolean"},
                                "registerReplica": {"type": "boolean"},
                            },
                        },
                    },
                },
            },
        },
        "jobDependencies": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id", "children"],
                "properties": {"id": IDENTITY, "children": {"type": "array", "minItems": 1, "items": IDENTITY}},
            },
        },
    },
}


def test_the_five_files_are_what_the_planner_takes(nowcast: Path, tmp_path: Path) -> None:
    report = plan(nowcast, tmp_path, "--param", "levels=35,45")
    assert (report["jobs"], report["products"]) == (63, 62)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, LINKS])
    workflow = load(tmp_path / "workflow.yml")
    jsonschema.Draft202012Validator(WORKFLOW_RULES).validate(workflow)
    assert len(workflow["jobs"]) == 63
    assert sum(len(item["children"]) for item in workflow["jobDependencies"]) == 62
    job = next(item for item in workflow["jobs"] if item["id"] == "contour-3")
    assert job["arguments"] == [
        "contour",
        "--input",
        "grid=PredictedReflectivity_3min_20190610-000500.nc",
        "--output",
        "geojson=mrt_STORM_CASA_3_20190610-000500.geojson",
        "--param",
        "levels=35,45",
        "--param",
        "min_points=12",
        "--param",
        "min_area=0",
        "--param",
        "decimals=5",
    ]
    assert all(item["profiles"]["dagman"] == {"RETRY": "2"} for item in workflow["jobs"])
    staged = [
        use["lfn"]
        for item in workflow["jobs"]
        for use in item["uses"]
        if use.get("stageOut") and use["type"] == "output"
    ]
    assert len(staged) == 62
    assert load(tmp_path / "replicas.yml")["replicas"] == [
        {"lfn": LFN, "pfns": [{"site": "local", "pfn": str(tmp_path / LINKS / LFN)}]}
    ]
    # HTCondor sends a file under its own name; jobs know it by its logical one.
    assert (tmp_path / LINKS / LFN).readlink() == nowcast
    sites = {site["name"]: site for site in load(tmp_path / "sites.yml")["sites"]}
    assert sites["condorpool"]["profiles"] == {
        "pegasus": {"style": "condor", "data.configuration": "condorio"},
        "condor": {"universe": "vanilla"},
    }
    properties = Properties.load(tmp_path / "pegasus.properties")
    assert properties["pegasus.clusterer.label.key"] == "label"
    assert problems_of(tmp_path) == ()
    assert report["command"] == planner_command(tmp_path)


def test_the_container_is_named_once_and_can_be_left_out(nowcast: Path, tmp_path: Path) -> None:
    plan(nowcast, tmp_path / "with", "--image", "docker:///x:1")
    data = load(tmp_path / "with" / "transformations.yml")
    assert data["containers"] == [{"name": "dynamo-modules", "type": "docker", "image": "docker:///x:1"}]
    assert {site["container"] for item in data["transformations"] for site in item["sites"]} == {"dynamo-modules"}
    plan(nowcast, tmp_path / "without", "--no-container", "--executable", "/opt/dynamo-module")
    data = load(tmp_path / "without" / "transformations.yml")
    assert "containers" not in data
    assert {site["pfn"] for item in data["transformations"] for site in item["sites"]} == {"/opt/dynamo-module"}


def test_clusters_become_labels(nowcast: Path, tmp_path: Path) -> None:
    report = plan(nowcast, tmp_path, "--slots", "3", "--job-overhead-s", "0.0005")
    labels: dict[str, int] = {}
    for job in load(tmp_path / "workflow.yml")["jobs"]:
        label = job["profiles"]["pegasus"].get("label")
        labels[label] = labels.get(label, 0) + 1
    assert report["layout"]["kind"] in ("clusters", "jobs")
    if report["layout"]["kind"] == "clusters":
        assert sum(labels.values()) == 63
        assert len([label for label in labels if label]) == 3
    assert re.search(r"\d", report["layout"]["reason"])


def test_the_same_plan_gives_the_same_bytes(nowcast: Path, tmp_path: Path) -> None:
    code = "import typer; from dynamo.cli.parts.workflow import register; app = typer.Typer(); register(app); app()"
    texts = []
    for seed in ("1", "2"):
        command = [
            sys.executable,
            "-c",
            code,
            "workflow",
            "plan",
            "nowcast",
            "-i",
            f"nowcast={nowcast}",
            "-o",
            str(tmp_path),
        ]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        texts.append({name: (tmp_path / name).read_bytes() for name in FILES})
    assert texts[0] == texts[1]


def test_what_was_written_is_a_workflow_for_us_too(nowcast: Path, tmp_path: Path) -> None:
    plan(nowcast, tmp_path / "a")
    workflow = read_workflow(tmp_path / "a" / "workflow.yml", contracts())
    assert list(workflow.inputs) == [LFN]
    again = run(
        "plan", str(tmp_path / "a" / "workflow.yml"), "-i", f"{LFN}={nowcast}", "-o", str(tmp_path / "b"), "--json"
    )
    assert again.exit_code == 0, again.output
    for name in ("workflow.yml", "replicas.yml", "transformations.yml"):
        texts = [(tmp_path / part / name).read_text().replace(str(tmp_path / part), "") for part in ("a", "b")]
        assert texts[0] == texts[1], name


def test_the_arguments_run_as_they_stand(nowcast: Path, tmp_path: Path) -> None:
    plan(nowcast, tmp_path / "plan")
    work = tmp_path / "work"
    work.mkdir()
    (work / LFN).symlink_to(nowcast)
    jobs = {job["id"]: job for job in load(tmp_path / "plan" / "workflow.yml")["jobs"]}
    root = Path(__file__).parents[3]
    for name in ("split", "contour-30", "plot-0"):
        command = [sys.executable, "-m", "dynamo.modules.command", *jobs[name]["arguments"]]
        subprocess.run(command, check=True, cwd=work, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True)
        written = [use["lfn"] for use in jobs[name]["uses"] if use["type"] == "output"]
        assert all((work / lfn).stat().st_size > 0 for lfn in written)


def test_a_spoilt_file_is_noticed(nowcast: Path, tmp_path: Path) -> None:
    plan(nowcast, tmp_path)
    path = tmp_path / "workflow.yml"
    path.write_text(path.read_text().replace("memory: 512\n", "memory: 512 MB\n", 1))
    (problem,) = problems_of(tmp_path)
    assert "memory" in problem.path


def test_validate_reports_every_error_and_exits_with_3(tmp_path: Path) -> None:
    assert run("validate", "nowcast").exit_code == 0
    path = tmp_path / "bad.json"
    path.write_text(
        '{"dynamo": 1, "name": "x", "version": "1", "jobs": [{"id": "a", "module": "splitt"}], "outpts": []}'
    )
    result = run("validate", str(path))
    assert result.exit_code == 3
    for text in ("$.outputs", "$.outpts", "did you mean outputs?", "$.jobs[0].module", "did you mean split?"):
        assert text in result.stdout
    result = run("validate", str(path), "--json")
    assert result.exit_code == 3
    assert {problem["path"] for problem in json.loads(result.stdout)["problems"]} >= {"$.outputs", "$.jobs[0].outputs"}


def test_list_and_schema(tmp_path: Path) -> None:
    listed = json.loads(run("list", "--json").stdout)
    assert [item["name"] for item in listed] == ["hail", "hail_composite", "nowcast"]
    assert "nowcast" in run("list").stdout
    schema = json.loads(run("schema").stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    jsonschema.Draft202012Validator(schema).validate(json.loads(Path(listed[0]["file"]).read_text()))
