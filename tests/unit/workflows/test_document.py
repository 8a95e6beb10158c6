from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from dynamo.documents.loading import read_data
from dynamo.documents.problems import Problem
from dynamo.modules.registry import contracts
from dynamo.workflows.document import Document
from dynamo.workflows.schema import document_schema
from dynamo.workflows.validate import parse_document, validate
from dynamo.workflows.workflow import find_workflow, templates

Edit = Callable[[dict[str, Any]], object]


def nowcast() -> dict[str, Any]:
    data: dict[str, Any] = read_data(find_workflow("nowcast"))
    return data


def problems_of(edit: Edit) -> tuple[Problem, ...]:
    data = copy.deepcopy(nowcast())
    edit(data)
    return validate(data, contracts())


@pytest.mark.parametrize("name", sorted(templates()))
def test_templates_are_good_and_fit_the_schema(name: str) -> None:
    data = read_data(find_workflow(name))
    assert validate(data, contracts()) == ()
    schema = document_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(data)


def test_documents_round_trip() -> None:
    document = parse_document(nowcast(), contracts())
    assert Document.model_validate(json.loads(json.dumps(document.to_json()))) == document


def set_(path: str, value: object) -> Edit:
    """Set the value at a dotted path (numbers are positions)."""

    def edit(data: dict[str, Any]) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        target: Any = data
        for part in parents:
            target = target[part]
        target[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "path", "nearest"),
    [
        (set_("jobs.1.module", "contours"), "$.jobs[1].module", "contour"),
        (set_("jobs.1.arguments.level", [45]), "$.jobs[1].arguments.level", "levels"),
        (set_("jobs.1.arguments.levels", [45, 95]), "$.jobs[1].arguments.levels[1]", ""),
        (set_("jobs.1.arguments.levels", "{parameter.levels}"), "$.jobs[1].arguments.levels", "parameters.levels"),
        (set_("jobs.1.inputs", {"gird": {"from": "split.leads"}}), "$.jobs[1].inputs.gird", "grid"),
        (set_("jobs.1.outputs", {"geojsn": "a_{lead}.geojson"}), "$.jobs[1].outputs.geojsn", "geojson"),
        (set_("jobs.1.inputs.grid", {"from": "split.lead"}), "$.jobs[1].inputs.grid.from", "split.leads"),
        (set_("jobs.1.inputs.grid", {"form": "split.leads"}), "$.jobs[1].inputs.grid.form", "from"),
        (set_("inputs.nowcast.format", "casa-nowcst"), "$.inputs.nowcast.format", "casa-nowcast"),
        (set_("outputs.1", "plots.png"), "$.outputs[1]", "plot.png"),
        (set_("descripton", ""), "$.descripton", "description"),
        (set_("jobs.0.resources", {"memory": 5}), "$.jobs[0].resources.memory", "memory_mb"),
        (set_("jobs.0.resources", {"memory_mb": "128 MB"}), "$.jobs[0].resources.memory_mb", ""),
        (set_("parameters.levels.type", "flaots"), "$.parameters.levels.type", "floats"),
        (set_("parameters.levels.default", [45, 100]), "$.parameters.levels.default[1]", ""),
        (set_("parameters.levels.minimum", 90), "$.parameters.levels.minimum", ""),
        (set_("dynamo", 2), "$.dynamo", ""),
        (set_("retries", -1), "$.retries", ""),
        (set_("version", 1), "$.version", ""),
        (set_("jobs.2.id", "contour"), "$.jobs[2].id", ""),
        (set_("jobs.1.for_each", {"issue": [1]}), "$.jobs[1].for_each.issue", ""),
        (set_("jobs.1.for_each", {"lead": [1, 1]}), "$.jobs[1].for_each.lead", ""),
        (
            set_("jobs.1.for_each", {"lead": "{inputs.nowcast.lead}"}),
            "$.jobs[1].for_each.lead",
            "inputs.nowcast.leads",
        ),
        (set_("jobs.1.for_each", {"lead": 7}), "$.jobs[1].for_each.lead", ""),
        (set_("jobs.1.for_each", {"lead": [40]}), "$.jobs[1].inputs.grid.from", ""),
        (set_("jobs.1.outputs.geojson", "all.geojson"), "$.jobs[1].outputs.geojson", ""),
        (set_("jobs.1.outputs.geojson", ["a{lead}", "b{lead}"]), "", ""),
        (set_("jobs.0.inputs.nowcast", ["{inputs.nowcast}", "{inputs.nowcast}"]), "$.jobs[0].inputs.nowcast", ""),
        (set_("jobs.2.inputs.grid", "mrt_STORM_CASA_0_{issue:%Y%m%d-%H%M}00.geojson"), "$.jobs[2].inputs.grid", ""),
        (set_("jobs.2.inputs.grid", "nothing.nc"), "$.jobs[2].inputs.grid", ""),
        (set_("jobs.2.inputs.grid", 4), "$.jobs[2].inputs.grid", ""),
        (set_("jobs", []), "$.jobs", ""),
        (set_("inputs.nowcast.name", "{issue:%c}"), "$.inputs.nowcast.name", ""),
        (set_("inputs.now-cast", {"format": "casa-nowcast"}), "$.inputs", ""),
    ],
)
def test_a_mistake_is_reported_where_it_is(edit: Edit, path: str, nearest: str) -> None:
    found = problems_of(edit)
    if not path:
        assert found == ()
        return
    match = [problem for problem in found if problem.path == path]
    assert match, [str(problem) for problem in found]
    assert match[0].nearest == nearest
    assert match[0].what


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "../a.nc",
        "a/../b.nc",
        "-rf",
        ".hidden",
        "a/.b",
        "a//b",
        "a b",
        "a\nb",
        "a\x00b",
        "a;rm",
        "$(x)",
        "`x`",
        "~/x",
        "\u202etxt.exe",
        "x" * 300,
        "a/" * 20 + "b",
        "{parameters.__class__}",
        "{issue.__class__}",
        "{lead!r}",
        "{}",
        "{lead",
        "{{lead}}",
        "{issue:%Y/%m}",
        "{lead:9999999999}",
        "{inputs.nowcast.leads}",
    ],
)
def test_files_stay_in_the_run_folder(name: str) -> None:
    found = problems_of(set_("jobs.2.outputs.png", name))
    assert any(problem.path == "$.jobs[2].outputs.png" for problem in found), [str(problem) for problem in found]


def test_every_error_is_reported() -> None:
    def edit(data: dict[str, Any]) -> None:
        data["jobs"][0]["module"] = "splitt"
        data["jobs"][1]["arguments"]["levels"] = "high"
        data["jobs"][2]["outputs"]["png"] = "../x.png"
        data["parameters"]["levels"]["default"] = [500]

    paths = {problem.path for problem in problems_of(edit)}
    assert paths >= {
        "$.jobs[0].module",
        "$.jobs[1].arguments.levels",
        "$.jobs[2].outputs.png",
        "$.parameters.levels.default[0]",
    }


def test_one_mistake_does_not_hide_another() -> None:
    def edit(data: dict[str, Any]) -> None:
        split, contour, _ = data["jobs"]
        split["inputs"]["nowcast"] = "{input.nowcast}"
        split["outputs"]["leads"]["name"] = "/g{lede}.nc"
        contour["for_each"] = {"lead": "{inputs.nowcst.leads}"}
        contour["inputs"]["grid"] = {"from": "spilt.leads"}
        contour["arguments"] = {"levels": 45, "min_points": "12"}
        data["outputs"] = ["contour.geojsn"]

    assert [problem.path for problem in problems_of(edit)] == [
        "$.jobs[1].for_each.lead",
        "$.jobs[0].outputs.leads.name",
        "$.jobs[0].inputs.nowcast",
        "$.jobs[1].inputs.grid.from",
        "$.jobs[1].arguments.levels",
        "$.jobs[1].arguments.min_points",
        "$.outputs[0]",
    ]


def test_a_mistake_has_no_echo() -> None:
    found = problems_of(set_("jobs.0.outputs.leads.name", "../{lead}.nc"))
    assert [problem.path for problem in found] == ["$.jobs[0].outputs.leads.name"]
    found = problems_of(set_("jobs.1.for_each.lead", "{inputs.nowcast.issue}"))
    assert [problem.path for problem in found] == ["$.jobs[1].for_each.lead"]


def test_errors_of_form_do_not_hide_unknown_modules() -> None:
    def edit(data: dict[str, Any]) -> None:
        del data["version"]
        data["jobs"][0]["module"] = "splitt"

    assert {problem.path for problem in problems_of(edit)} == {"$.version", "$.jobs[0].module"}


#: Mistakes of form, by where they are.
FORM: dict[str, Edit] = {
    "$.dynamo": set_("dynamo", "1"),
    "$.name": set_("name", "my storms"),
    "$.version": lambda data: data.pop("version"),
    "$.deadline_s": set_("deadline_s", "60s"),
    "$.descripton": set_("descripton", ""),
    "$.parameters.levels.type": set_("parameters.levels.type", "flaots"),
    "$.jobs[0].resources": set_("jobs.0.resources", [1]),
    "$.jobs[1].resources.cpus": set_("jobs.1.resources", {"cpus": 0}),
    "$.jobs[1].outputs.geojson": set_("jobs.1.outputs.geojson", 5),
    "$.jobs[1].for_each.lead": set_("jobs.1.for_each.lead", 7),
    "$.jobs[2].inputs.grid": set_("jobs.2.inputs.grid", 4),
    "$.jobs[2].retries": set_("jobs.2.retries", "often"),
}
#: Mistakes of meaning.
MEANING: dict[str, Edit] = {
    "$.inputs.nowcast.format": set_("inputs.nowcast.format", "casa-nowcst"),
    "$.jobs[0].arguments.leads": set_("jobs.0.arguments.leads", "high"),
    "$.jobs[0].outputs.leads.name": set_("jobs.0.outputs.leads.name", "g_{led}.nc"),
    "$.jobs[1].arguments.min_area": set_("jobs.1.arguments.min_area", -4),
    "$.jobs[1].inputs.grid.from": set_("jobs.1.inputs.grid", {"from": "split.lead"}),
    "$.jobs[2].outputs.png": set_("jobs.2.outputs.png", "../x.png"),
    "$.outputs[1]": set_("outputs.1", "plots.png"),
}


@pytest.mark.parametrize("form", FORM)
def test_a_mistake_of_form_hides_no_other_and_has_no_echo(form: str) -> None:
    assert {problem.path for problem in problems_of(FORM[form])} == {form}

    def edit(data: dict[str, Any]) -> None:
        for change in (*MEANING.values(), FORM[form]):
            change(data)

    assert {problem.path for problem in problems_of(edit)} == {form, *MEANING}


def test_all_mistakes_are_reported_at_once() -> None:
    def edit(data: dict[str, Any]) -> None:
        for change in (*MEANING.values(), *FORM.values()):
            change(data)

    assert {problem.path for problem in problems_of(edit)} == {*FORM, *MEANING}


@pytest.mark.parametrize("part", [5, None, "split", {}, {"id": 5}])
def test_a_broken_job_does_not_hide_the_mistakes_of_others(part: object) -> None:
    def edit(data: dict[str, Any]) -> None:
        data["jobs"][0] = part
        data["jobs"][1]["arguments"]["min_area"] = -4
        data["jobs"][2]["outputs"]["png"] = "../x.png"

    paths = {problem.path for problem in problems_of(edit)}
    assert {path for path in paths if not path.startswith("$.jobs[0]")} == {
        "$.jobs[1].arguments.min_area",
        "$.jobs[2].outputs.png",
    }


def test_a_limit_above_the_other_is_no_unknown_parameter() -> None:
    assert {problem.path for problem in problems_of(set_("parameters.levels.minimum", 90))} == {
        "$.parameters.levels.minimum"
    }


def test_huge_loops_are_counted_not_expanded() -> None:
    numbers = list(range(1000))
    found = problems_of(set_("jobs.1.for_each", dict.fromkeys("abcd", numbers)))
    assert [problem.path for problem in found] == ["$.jobs", "$.jobs"]
    assert "1000000000" in found[0].what.replace(",", "").replace("_", "")

    loop = {"for_each": dict.fromkeys("abcd", numbers), "name": "x{a}{b}{c}{d}"}
    found = problems_of(set_("jobs.0.outputs.leads", loop))
    assert found[0].path == "$.jobs"


def test_a_cycle_is_reported() -> None:
    def edit(data: dict[str, Any]) -> None:
        data["jobs"] = [
            {"id": "a", "module": "contour", "inputs": {"grid": "b.nc"}, "outputs": {"geojson": "a.json"}},
            {"id": "b", "module": "split", "inputs": {"nowcast": "c.nc"}, "outputs": {"leads": "b.nc"}},
        ]
        data["outputs"] = ["a.geojson"]

    assert any(problem.path == "$.jobs[1].inputs.nowcast" for problem in problems_of(edit))


@pytest.mark.parametrize("version", [True, 1.0, "1", 2, None])
def test_the_version_of_the_language_is_the_integer_one(version: object) -> None:
    (problem,) = problems_of(set_("dynamo", version))
    assert problem.path == "$.dynamo"
    assert problem.expected == "1"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("priority", 1001, "at most 1000"),
        ("priority", -1001, "at least -1000"),
        ("retries", 21, "at most 20"),
        ("deadline_s", 0, "more than 0"),
        ("inputs.nowcast.required", 1, "true or false"),
        ("deadline_s", float("inf"), "a finite number"),
        ("jobs", [], "at least 1"),
        ("outputs", [], "at least 1"),
        ("description", "x" * 4001, "at most 4000 characters"),
        ("jobs.0.module", "", "at least 1 characters"),
    ],
)
def test_limits_are_told(path: str, value: object, expected: str) -> None:
    assert expected in [problem.expected for problem in problems_of(set_(path, value))]


def two_files(first: str, second: str) -> tuple[Problem, ...]:
    job = {"module": "contour", "inputs": {"grid": "{inputs.grid}"}}
    data = {
        "dynamo": 1,
        "name": "two",
        "version": "1",
        "inputs": {"grid": {"format": "casa-split", "name": "grid.nc"}},
        "jobs": [
            {"id": "a", **job, "outputs": {"geojson": first}},
            {"id": "b", **job, "outputs": {"geojson": second}},
        ],
        "outputs": ["a.geojson", "b.geojson"],
    }
    return validate(data, contracts())


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ("index.json", "b", "the name index.json is reserved for what DyNamo writes"),
        ("a", "index.json/b", "the name index.json is reserved for what DyNamo writes"),
        ("a", "prov.json", "the name prov.json is reserved for what DyNamo writes"),
        ("a", "a/b", "a is both a file and the folder of a/b"),
        ("a/b/c/d", "a/b", "a/b is both a file and the folder of a/b/c/d"),
        ("a", "grid.nc/b", "grid.nc is both a file and the folder of grid.nc/b"),
    ],
)
def test_names_that_cannot_be_files_side_by_side_are_refused(first: str, second: str, what: str) -> None:
    assert [problem.what for problem in two_files(first, second)] == [what]


def test_names_that_only_look_alike_are_good() -> None:
    assert two_files("a/index.json", "a/b") == ()
    assert two_files("a", "a.b/a") == ()
