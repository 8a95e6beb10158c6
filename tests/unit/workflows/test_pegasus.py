from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo.documents.problems import DocumentError
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.modules.registry import contracts
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Plan
from dynamo.workflows.pegasus import abstract as abstract_module
from dynamo.workflows.pegasus import write as write_module
from dynamo.workflows.pegasus.abstract import abstract_workflow
from dynamo.workflows.pegasus.check import check
from dynamo.workflows.pegasus.read import AbstractWorkflow, expand_abstract, parse_abstract, without_predictions
from dynamo.workflows.workflow import plan_run, read_workflow

FACTS = InputFacts("casa-nowcast", datetime(2019, 6, 10, tzinfo=UTC), tuple(range(31)), (201, 201))
INPUTS = {"nowcast": Path("/data/in.nc")}
LFN = "MERGE_DARTS_201906100000.nc"


def nowcast_plan() -> Plan:
    workflow = read_workflow("nowcast", contracts())
    return plan_run(workflow, INPUTS, {"levels": "35,45.5"}, {"nowcast": FACTS}, contracts())


def abstract() -> dict[str, Any]:
    plan = nowcast_plan()
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    return abstract_workflow(plan, layout, contracts())


def paths_of(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(DocumentError) as caught:
        parse_abstract(data, contracts())
    return {problem.path: problem.nearest for problem in caught.value.problems}


def test_what_is_exported_is_read_back() -> None:
    workflow = parse_abstract(abstract(), contracts())
    plan = expand_abstract(workflow, {LFN: Path("/data/in.nc")}, {}, {LFN: FACTS}, contracts())
    assert plan == nowcast_plan()
    bare = expand_abstract(workflow, {LFN: Path("/data/in.nc")}, {}, {}, contracts())
    assert without_predictions(bare) == without_predictions(nowcast_plan())
    assert workflow.inputs[LFN].format == "casa-nowcast"


def test_the_order_of_products_and_resources_survive() -> None:
    from dataclasses import replace

    plan = nowcast_plan()
    plan = replace(plan, products=plan.products[::-1], deadline_s=None, priority=0, description="")
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    data = abstract_workflow(plan, layout, contracts())
    workflow = parse_abstract(data, contracts())
    again = expand_abstract(workflow, {LFN: Path("/data/in.nc")}, {}, {LFN: FACTS}, contracts())
    assert again == plan


def test_labels_are_the_tasks_of_the_layout() -> None:
    plan = nowcast_plan()
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    assert layout.kind == "clusters"
    jobs = {job["id"]: job for job in abstract_workflow(plan, layout, contracts())["jobs"]}
    for task in layout.tasks:
        labels = {jobs[name]["profiles"]["pegasus"].get("label") for name in task.jobs}
        assert labels == ({task.id} if len(task.jobs) > 1 else {None})


@pytest.mark.parametrize("batch", [1, 3])
def test_long_workflows_are_written_in_batches_without_a_trace(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = nowcast_plan()
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    whole = abstract_workflow(plan, layout, contracts())
    text = write_module.yaml_text(whole)
    assert len(plan.jobs) > batch
    assert yaml.safe_load(text) == whole
    monkeypatch.setattr(abstract_module, "_BATCH", batch)
    monkeypatch.setattr(write_module, "_BATCH", batch)
    assert abstract_workflow(plan, layout, contracts()) == whole
    assert write_module.yaml_text(whole) == text


def edit_job(**parts: Any) -> Callable[[dict[str, Any]], None]:
    def edit(data: dict[str, Any]) -> None:
        data["jobs"][1].update(parts)

    return edit


@pytest.mark.parametrize(
    ("edit", "path", "nearest"),
    [
        (edit_job(hooks={"shell": [{"_on": "end", "cmd": "true"}]}), "$.jobs[1].hooks", ""),
        (edit_job(stdout="a.txt"), "$.jobs[1].stdout", ""),
        (edit_job(type="pegasusWorkflow"), "$.jobs[1].type", ""),
        (edit_job(name="contuor"), "$.jobs[1].name", "contour"),
        (edit_job(id="a.b"), "$.jobs[1].id", ""),
        (edit_job(id="split"), "$.jobs[1].id", ""),
        (edit_job(arguments=["contour", 5]), "$.jobs[1].arguments[1]", ""),
        (edit_job(arguments=["contour", "--param", "levls=1"]), "$.jobs[1].arguments[2]", "levels"),
        (edit_job(arguments="contour"), "$.jobs[1].arguments", ""),
        (edit_job(uses=[]), "$.jobs[1].uses", ""),
        (edit_job(profiles={"pegasus": {"memory": "128 MB"}}), "$.jobs[1].profiles.pegasus.memory", ""),
        (edit_job(profiles={"pegasus": {"maxwalltime": "43201"}}), "$.jobs[1].profiles.pegasus.maxwalltime", ""),
        (edit_job(profiles={"pegasus": {"cores": 0}}), "$.jobs[1].profiles.pegasus.cores", ""),
        (edit_job(profiles={"dagman": {"RETRY": "21"}}), "$.jobs[1].profiles.dagman.RETRY", ""),
        (edit_job(metadata={"dynamo.max_seconds": "1e10"}), "$.jobs[1].metadata.dynamo.max_seconds", ""),
        (lambda data: data.update(transformationCatalog={}), "$.transformationCatalog", ""),
        (lambda data: data.update(hooks={}), "$.hooks", ""),
        (lambda data: data.update(pegasus=5), "$.pegasus", ""),
        (lambda data: data.update(pegasus="4.9"), "$.pegasus", ""),
        (lambda data: data.update(job=[]), "$.job", "jobs"),
        (lambda data: data.update(name="a b"), "$.name", ""),
        (lambda data: data.update(jobs=[]), "$.jobs", ""),
        (
            lambda data: data["jobDependencies"].append({"id": "plot-1", "children": ["contour-1"]}),
            "$.jobDependencies[1].children[0]",
            "",
        ),
        (
            lambda data: data["jobDependencies"].append({"id": "splt", "children": ["contour-1"]}),
            "$.jobDependencies[1].id",
            "split",
        ),
        (
            lambda data: data.update(replicaCatalog={"replicas": [{"lfn": LFN, "pfns": [{"pfn": "http://x/y"}]}]}),
            "$.replicaCatalog.replicas[0].pfns",
            "",
        ),
        (lambda data: data["jobs"][0]["uses"][0].update(lfn="/etc/passwd"), "$.jobs[0].uses[0].lfn", ""),
        (lambda data: data["jobs"][0]["uses"][0].update(type="output"), "$.jobs[0].uses[0].type", ""),
        # Profiles that a plan cannot keep.
        (edit_job(profiles={"env": {"LEVEL": "45"}}), "$.jobs[1].profiles.env.LEVEL", ""),
        (edit_job(profiles={"condor": {"requirements": "Memory > 4"}}), "$.jobs[1].profiles.condor.requirements", ""),
        (
            edit_job(profiles={"condor": {"request_memry": "4"}}),
            "$.jobs[1].profiles.condor.request_memry",
            "request_memory",
        ),
        (edit_job(profiles={"condor": {"priority": "7"}}), "$.jobs[1].profiles.condor.priority", ""),
        (edit_job(profiles={"dagman": {"PRE": "true"}}), "$.jobs[1].profiles.dagman.PRE", ""),
        (edit_job(profiles={"pegasus": {"gpus": "1"}}), "$.jobs[1].profiles.pegasus.gpus", ""),
        (edit_job(profiles={"selector": {"execution.site": "x"}}), "$.jobs[1].profiles.selector.execution.site", ""),
        (lambda data: data.update(profiles={"env": {"LEVEL": "45"}}), "$.profiles.env.LEVEL", ""),
        (lambda data: data.update(profiles={"pegasus": {"memory": "45"}}), "$.profiles.pegasus.memory", ""),
        # Values of the wrong shape.
        (edit_job(profiles=["memory"]), "$.jobs[1].profiles", ""),
        (edit_job(profiles={"pegasus": 512}), "$.jobs[1].profiles.pegasus", ""),
        (edit_job(profiles={"pegasus": {"memory": ["512"]}}), "$.jobs[1].profiles.pegasus.memory", ""),
        (edit_job(uses={"lfn": "a.nc"}), "$.jobs[1].uses", ""),
        (edit_job(metadata=[1]), "$.jobs[1].metadata", ""),
        (lambda data: data["jobs"][0]["uses"][0].update(lfn=["a.nc"]), "$.jobs[0].uses[0].lfn", ""),
        (lambda data: data["jobs"][0]["uses"][0].update(type={"x": 1}), "$.jobs[0].uses[0].type", ""),
        (lambda data: data["jobs"][0]["uses"][1].update(stageOut="no"), "$.jobs[0].uses[1].stageOut", ""),
        (lambda data: data.update(jobDependencies={"id": "split"}), "$.jobDependencies", ""),
        (lambda data: data.update(jobDependencies=["split"]), "$.jobDependencies[0]", ""),
        (lambda data: data["jobDependencies"][0].update(id=["split"]), "$.jobDependencies[0].id", ""),
        (lambda data: data["jobDependencies"][0].update(children="contour-0"), "$.jobDependencies[0].children", ""),
        (
            lambda data: data["jobDependencies"][0]["children"].insert(1, {"x": "contour-0"}),
            "$.jobDependencies[0].children[1]",
            "",
        ),
        (lambda data: data.update(metadata={"dynamo.version": "1\x1b[2J"}), "$.metadata['dynamo.version']", ""),
        (lambda data: data.update(metadata={"dynamo.deadline_s": "-5"}), "$.metadata['dynamo.deadline_s']", ""),
        (lambda data: data.update(metadata={"dynamo.priority": "1.5"}), "$.metadata['dynamo.priority']", ""),
        (lambda data: data.update(replicaCatalog=[1]), "$.replicaCatalog", ""),
        (lambda data: data.update(replicaCatalog={"replicas": [1]}), "$.replicaCatalog.replicas[0]", ""),
    ],
)
def test_what_cannot_be_taken_over_is_refused(edit: Callable[[dict[str, Any]], None], path: str, nearest: str) -> None:
    data = copy.deepcopy(abstract())
    edit(data)
    found = paths_of(data)
    assert path in found, found
    assert found[path] == nearest


def test_every_mistake_of_every_job_is_reported_at_once() -> None:
    data = copy.deepcopy(abstract())
    first, second, third = data["jobs"][:3]
    data["name"] = "a b"
    data["hooks"] = {}
    data["jobDependencies"][0]["children"][0] = ["contour-0"]
    first["name"] = "splitt"
    first["profiles"]["env"] = {"A": "1"}
    second["arguments"][1:1] = ["--param", "levls=1", "--input", "grd=x.nc"]
    second["uses"][0]["type"] = 7
    third["id"] = "a.b"
    third["profiles"]["pegasus"]["memory"] = "1 GB"
    assert set(paths_of(data)) == {
        "$.hooks",
        "$.name",
        "$.jobs[0].name",
        "$.jobs[0].profiles.env.A",
        "$.jobs[1].arguments[2]",
        "$.jobs[1].arguments[4]",
        "$.jobs[1].uses[0].type",
        "$.jobs[2].id",
        "$.jobs[2].profiles.pegasus.memory",
        "$.jobDependencies[0].children[0]",
        "$.jobDependencies[0].children[1]",
    }


def test_replicas_may_be_embedded() -> None:
    data = abstract()
    data["replicaCatalog"] = {"replicas": [{"lfn": LFN, "pfns": [{"site": "local", "pfn": "file:///d/a.nc"}]}]}
    data["x-pegasus"] = {"apiLang": "python"}
    workflow = parse_abstract(data, contracts())
    assert isinstance(workflow, AbstractWorkflow)
    assert expand_abstract(workflow, {}, {}, {}, contracts()).replicas == {LFN: Path("/d/a.nc")}
    given = expand_abstract(workflow, {LFN: Path("/e/b.nc")}, {}, {}, contracts())
    assert given.replicas == {LFN: Path("/e/b.nc")}


def test_missing_inputs_and_parameters_are_reported() -> None:
    workflow = parse_abstract(abstract(), contracts())
    with pytest.raises(DocumentError) as caught:
        expand_abstract(workflow, {"MERGE": Path("x")}, {"levels": "45"}, {}, contracts())
    assert [problem.path for problem in caught.value.problems] == [
        "$.parameters.levels",
        "$.inputs.MERGE",
        f"$.inputs.{LFN}",
    ]


def test_arguments_that_a_shell_would_read_are_not_exported() -> None:
    from dataclasses import replace

    plan = nowcast_plan()
    job = replace(plan.jobs[0], inputs={"nowcast": ("a$b",)})
    broken = Plan("x", "1", (job,), {"a$b": Path("/a")}, ())
    layout = choose_layout(broken, slots=1, job_overhead_s=1, single_threshold_s=1)
    with pytest.raises(InputError, match="shell"):
        abstract_workflow(broken, layout, contracts())


# -- what the planner takes in silence
# ---------------------------------------------------------------------------


def good() -> dict[str, Any]:
    servers = [{"url": "file:///s", "operation": "all"}]
    return {
        "workflow": {
            "pegasus": "5.0.4",
            "name": "w",
            "jobs": [
                {
                    "type": "job",
                    "namespace": "dynamo",
                    "name": "split",
                    "id": "a",
                    "arguments": ["split"],
                    "uses": [{"lfn": "in", "type": "input"}, {"lfn": "out", "type": "output"}],
                    "profiles": {"pegasus": {"memory": "128", "label": "c"}, "condor": {"+Extra": "1"}},
                },
                {
                    "type": "job",
                    "namespace": "dynamo",
                    "name": "split",
                    "id": "b",
                    "arguments": ["split"],
                    "uses": [{"lfn": "out", "type": "input"}],
                },
            ],
            "jobDependencies": [{"id": "a", "children": ["b"]}],
        },
        "sites": {
            "pegasus": "5.0",
            "sites": [
                {
                    "name": "local",
                    "directories": [
                        {"type": "sharedScratch", "path": "/s", "fileServers": servers},
                        {"type": "localStorage", "path": "/s", "fileServers": servers},
                    ],
                },
                {
                    "name": "condorpool",
                    "profiles": {"pegasus": {"style": "condor"}, "condor": {"universe": "vanilla"}},
                },
            ],
        },
        "transformations": {
            "pegasus": "5.0",
            "transformations": [
                {
                    "namespace": "dynamo",
                    "name": "split",
                    "sites": [{"name": "condorpool", "type": "installed", "pfn": "/x", "container": "box"}],
                }
            ],
            "containers": [{"name": "box", "type": "docker", "image": "docker:///box"}],
        },
        "replicas": {"pegasus": "5.0", "replicas": [{"lfn": "in", "pfns": [{"site": "local", "pfn": "/in"}]}]},
        "properties": {"pegasus.data.configuration": "condorio"},
    }


def check_all(data: dict[str, Any], site: str = "condorpool") -> list[str]:
    found = check(
        data["workflow"],
        data["sites"],
        data["transformations"],
        data["replicas"],
        data["properties"],
        site=site,
    )
    return [problem.path for problem in found]


def test_a_good_set_has_no_problems() -> None:
    assert check_all(good()) == []


@pytest.mark.parametrize(
    ("where", "value", "path"),
    [
        ("workflow.jobs.0.profiles.pegasus.memry", "1", "workflow.yml$.jobs[0].profiles.pegasus.memry"),
        ("workflow.jobs.0.profiles.pegasus.memory", "128 MB", "workflow.yml$.jobs[0].profiles.pegasus.memory"),
        (
            "workflow.jobs.0.profiles.condor.request_memory",
            "128 MB",
            "workflow.yml$.jobs[0].profiles.condor.request_memory",
        ),
        ("workflow.jobs.0.profiles.condr", {"a": "b"}, "workflow.yml$.jobs[0].profiles.condr"),
        ("workflow.jobs.0.profiles.pegasus.runtime", True, "workflow.yml$.jobs[0].profiles.pegasus.runtime"),
        ("workflow.jobs.0.arguments.0", 5, "workflow.yml$.jobs[0].arguments[0]"),
        ("workflow.jobs.0.name", "splitt", "workflow.yml$.jobs[0].name"),
        ("workflow.jobs.1.id", "a", "workflow.yml$.jobs[1].id"),
        ("workflow.pegasus", "4.0", "workflow.yml$.pegasus"),
        ("workflow.pegasus", 5.0, "workflow.yml$.pegasus"),
        ("workflow.jobDependencies.0.children.0", "z", "workflow.yml$.jobDependencies[0].children[0]"),
        ("workflow.jobDependencies.0.children.0", "a", "workflow.yml$.jobDependencies"),
        ("sites.pegasus", "6.0", "sites.yml$.pegasus"),
        ("sites.sites.1.name", "condorpol", "sites.yml$.sites"),
        ("sites.sites.1.profiles.pegasus.style", "glite", "sites.yml$.sites[1].profiles.pegasus.style"),
        ("sites.sites.0.directories.0.fileServers", [], "sites.yml$.sites[0].directories"),
        (
            "transformations.transformations.0.sites.0.container",
            "bx",
            "transformations.yml$.transformations[0].sites[0].container",
        ),
        (
            "transformations.transformations.0.sites.0.name",
            "pool",
            "transformations.yml$.transformations[0].sites[0].name",
        ),
        ("replicas.replicas.0.lfn", "other", "workflow.yml$.jobs[0].uses[0].lfn"),
        ("replicas.replicas.0.pfns.0.site", "lokal", "replicas.yml$.replicas[0].pfns[0].site"),
        ("properties", {"pegasus.bogus": "1"}, "pegasus.properties$['pegasus.bogus']"),
        (
            "properties",
            {"pegasus.data.configuration": "condorIO"},
            "pegasus.properties$['pegasus.data.configuration']",
        ),
    ],
)
def test_what_the_planner_takes_in_silence_is_found(where: str, value: object, path: str) -> None:
    data = good()
    *parents, last = [int(part) if part.isdigit() else part for part in where.split(".")]
    target: Any = data
    for part in parents:
        target = target[part]
    target[last] = value
    assert path in check_all(data)


def test_an_execution_site_that_nobody_defines_is_found() -> None:
    assert "sites.yml$.sites" in check_all(good(), site="elsewhere")


@pytest.mark.parametrize(("to", "what"), [("index.json", "reserved"), (f"{LFN}/x", "both a file and the folder of")])
def test_names_that_the_products_cannot_have_are_refused(to: str, what: str) -> None:
    data = abstract()
    product = next(use["lfn"] for use in data["jobs"][-1]["uses"] if use["type"] == "output")
    changed = json.loads(json.dumps(data).replace(product, to))
    with pytest.raises(DocumentError, match=what):
        parse_abstract(changed, contracts())
