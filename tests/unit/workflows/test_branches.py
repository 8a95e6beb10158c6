"""Conditions on earlier jobs' numbers: their form, what they are resolved to, and every mistake at once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dynamo.contract import Module, Number, Parameter, Port
from dynamo.documents.problems import DocumentError
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.workflows.arguments import build_arguments, read_arguments
from dynamo.workflows.branches import branch_of_argument, parse_branch
from dynamo.workflows.expand import expand
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Job, Plan, plan_from_json, plan_to_json
from dynamo.workflows.pegasus.abstract import abstract_workflow
from dynamo.workflows.pegasus.read import expand_abstract, parse_abstract, without_predictions
from dynamo.workflows.validate import parse_document, validate

CONTRACTS = {
    "look": Module(
        "look",
        "1",
        "",
        inputs=(Port("data", "data|seen", ""),),
        outputs=(Port("seen", "seen", ""),),
        parameters=(Parameter("level", "float", "", default=35.0, unit="dBZ"),),
        run=lambda _: {},
        numbers=(Number("area_km2", "", unit="km2"), Number("flag", "")),
    ),
    "join": Module(
        "join",
        "1",
        "",
        inputs=(Port("seen", "seen", "", many=True), Port("extra", "seen", "", required=False)),
        outputs=(Port("out", "seen", ""),),
        parameters=(),
        run=lambda _: {},
    ),
}
FACTS = InputFacts("data", datetime(2019, 6, 10, tzinfo=UTC), (0, 5), (10, 10))


def look(name: str, data: Any = "{inputs.data}", **rest: Any) -> dict[str, Any]:
    return {"id": name, "module": "look", "inputs": {"data": data}, "outputs": {"seen": f"{name}.seen"}, **rest}


def document(*jobs: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "dynamo": 1,
        "name": "branches",
        "version": "1",
        "inputs": {"data": {"format": "data"}},
        "parameters": {"least": {"type": "float", "default": 45}},
        "jobs": list(jobs),
        "outputs": [f"{job['id']}.{next(iter(job['outputs']))}" for job in jobs],
        **changes,
    }


def plan(*jobs: dict[str, Any], **changes: Any) -> Plan:
    data = document(*jobs, **changes)
    return expand(
        parse_document(data, CONTRACTS), {"data": Path("/in/a.data")}, {}, {"data": replace(FACTS)}, CONTRACTS
    )


LOOP = {"lead": [0, 5]}
LEADS = look("lead", for_each=LOOP) | {"outputs": {"seen": "lead_{lead}.seen"}}


@pytest.mark.parametrize(
    ("text", "job", "number", "over", "compare", "value"),
    [
        ("hail.max_dbz >= 45", "hail", "max_dbz", "", ">=", 45),
        ("a-b.x<-1.5", "a-b", "x", "", "<", -1.5),
        ("any( contour.polygons > 0 )", "contour", "polygons", "any", ">", 0),
        ("all(check.flag<=2)", "check", "flag", "all", "<=", 2),
        ("max(a.x) == 1e3", "a", "x", "max", "==", 1000),
        ("sum(a.x) != 0", "a", "x", "sum", "!=", 0),
    ],
)
def test_forms(text: str, job: str, number: str, over: str, compare: str, value: float) -> None:
    branch = parse_branch(text)
    assert (branch.job, branch.number, branch.over, branch.compare, branch.value) == (job, number, over, compare, value)
    assert parse_branch(branch.text) == branch
    assert branch_of_argument(branch.argument) == branch


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x >= 45",
        "hail.max_dbz => 45",
        "hail.max_dbz = 45",
        "hail.max_dbz >= 45 dBZ",
        "a.x >= nan",
        "a.x > b.y",
        "mean(a.x) > 1",
        "any(a.x) > 1",
        "max(a.x > 1)",
        "a.x > 1 and a.y > 1",
        "__import__('os').x > 1",
        "not a.x > 1",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_branch(text)


@pytest.mark.parametrize(
    ("text", "recorded", "why"),
    [
        ("a.x >= 45", [{"x": 45.0}], ""),
        ("a.x >= 45", [{"x": 38.5}], "a.x is 38.5, not >= 45"),
        ("a.x >= 45", [{"x": 44.99999999}], "a.x is 44.99999999, not >= 45"),
        ("a.x >= 45", [{}], "a recorded no x"),
        ("a.x < 45", [{}], "a recorded no x"),
        ("a.x >= 45", [None], "a was skipped"),
        ("any(a.x > 0)", [{"x": 0.0}, None, {"x": 3.0}], ""),
        ("any(a.x > 0)", [{"x": 0.0}, {}, {"x": -2.0}], "none of 3 a.x is > 0 (-2 to 0)"),
        ("all(a.x > 0)", [{"x": 1.0}, None], ""),
        ("all(a.x > 0)", [{"x": 1.0}, {}], "1 of 2 a.x not > 0 (1)"),
        ("max(a.x) > 5", [{"x": 5.0}, {"x": 1.0}], "max(a.x) is 5, not > 5"),
        ("min(a.x) > 0", [{"x": 5.0}, {"x": 1.0}], ""),
        ("sum(a.x) >= 6", [{"x": 5.0}, {"x": 1.0}], ""),
    ],
)
def test_why_a_job_is_skipped(text: str, recorded: list[dict[str, float] | None], why: str) -> None:
    assert parse_branch(text).why_not(recorded) == why


def test_only_jobs_that_are_looked_at_write_numbers() -> None:
    made = plan(look("first"), look("second", when=["first.area_km2 >= {parameters.least}", "first.flag <= 2"]))
    first, second = made.jobs
    assert (first.numbers, second.numbers) == ("first.numbers.json", "")
    assert [branch.text for branch in second.when] == ["first.area_km2 >= 45", "first.flag <= 2"]
    assert {lfn for branch in second.when for lfn in branch.files} == {"first.numbers.json"}
    # The condition is an edge of the workflow, and its file travels as others do.
    assert made.parents["second"] == {"first"}
    assert first.numbers in made.writers
    assert first.numbers not in made.products
    assert plan_from_json(json.loads(json.dumps(plan_to_json(made)))) == made


def test_loops_match_by_their_variables() -> None:
    each = look("each", for_each=LOOP, when="lead.area_km2 > 0") | {"outputs": {"seen": "each_{lead}.seen"}}
    once = look("once", when="max(lead.area_km2) > 100")
    wide = look("wide", for_each={"level": [1, 2]}, when="any(lead.area_km2 > {level})")
    by_id = plan(LEADS, each, once, wide | {"outputs": {"seen": "wide_{level}.seen"}}).by_id
    both = ("lead-0.numbers.json", "lead-5.numbers.json")
    assert by_id["each-5"].when[0].files == both[1:]
    assert by_id["once"].when[0].files == both
    assert by_id["wide-2"].when[0].files == both
    assert by_id["wide-2"].when[0].value == 2


def test_a_plan_of_an_earlier_version_has_no_branches() -> None:
    made = plan(look("first"))
    data = plan_to_json(made)
    for job in data["jobs"]:
        del job["when"], job["numbers"]
    assert plan_from_json(data) == made


def test_every_mistake_at_once() -> None:
    jobs = [
        look("first", data={"from": "last.seen"}),
        LEADS,
        look("self", when="self.flag > 0"),
        look("typo", when=["frist.flag > 0", "first.flga > 0", "first.flag > many", "first.flag > {parameters.lest}"]),
        look("several", when="lead.flag > 0"),
        look("other", for_each={"lead": [0, 7]}, when="lead.flag > 0") | {"outputs": {"seen": "other_{lead}.seen"}},
        look("last", data={"from": "middle.seen"}),
        look("middle", when=["first.flag > 0", "first.flag > high"]),
        {"id": "join", "module": "join", "inputs": {"seen": {"from": "lead.seen"}}, "outputs": {"out": "join.seen"}},
        look("none", when="join.count > 0"),
        look("form", when={"job": "first"}),
    ]
    found = {problem.path: problem for problem in validate(document(*jobs), CONTRACTS)}
    assert {path: problem.what for path, problem in found.items()} == {
        "$.jobs[2].when": "a job cannot wait for its own numbers",
        "$.jobs[3].when[0]": "unknown job 'frist'",
        "$.jobs[3].when[1]": "unknown number of module look 'flga'",
        "$.jobs[3].when[2]": "not a number: 'many'",
        "$.jobs[3].when[3]": "unknown placeholder {parameters.lest}",
        "$.jobs[4].when": "lead is 2 jobs here",
        "$.jobs[5].when": "no job lead for lead = 7",
        "$.jobs[7].when[0]": "first waits for this job",
        "$.jobs[7].when[1]": "not a number: 'high'",
        "$.jobs[9].when": "unknown number of module join 'count'",
        "$.jobs[10].when": "not a condition",
    }
    assert found["$.jobs[3].when[0]"].nearest == "first"
    assert found["$.jobs[3].when[1]"].nearest == "flag"
    assert "max(lead.flag)" in found["$.jobs[4].when"].expected
    named = look("taken") | {"outputs": {"seen": "first.numbers.json"}}
    taken = validate(document(look("first"), look("b", when="first.flag > 0"), named), CONTRACTS)
    assert [(problem.path, problem.what) for problem in taken] == [
        ("$.jobs[1].when", "first.numbers.json is written twice")
    ]


def test_two_jobs_cannot_wait_for_each_other() -> None:
    jobs = [look("a", when="b.flag > 0"), look("b", when="a.flag > 0")]
    assert [problem.path for problem in validate(document(*jobs), CONTRACTS)] == ["$.jobs[0].when", "$.jobs[1].when"]


def test_a_broken_job_does_not_make_conditions_on_it_wrong() -> None:
    jobs = [look("Not an id"), look("b", when="a.flag > 0"), look("c", retries=-1, when="b.flga > 0")]
    paths = {problem.path for problem in validate(document(*jobs), CONTRACTS)}
    assert {"$.jobs[0].id", "$.jobs[1].when", "$.jobs[2].retries", "$.jobs[2].when"} <= paths


def test_arguments_round_trip_without_what_a_shell_would_read() -> None:
    made = plan(LEADS, look("once", when=["any(lead.area_km2 >= 1.5)", "all(lead.flag <= 2)"]))
    for job in made.jobs:
        argv = build_arguments(job, CONTRACTS)
        assert not set("".join(argv)) & set(" \t'\"\\$`;&|<>*?(){}")
        call = read_arguments(argv, CONTRACTS)
        assert (call.when, call.numbers, call.errors) == (job.when, job.numbers, ())
    assert "any:lead.area_km2:ge:1.5=lead-0.numbers.json" in build_arguments(made.by_id["once"], CONTRACTS)


@pytest.mark.parametrize(
    "argv",
    [
        ["--when", "one:a.x:ge:1"],
        ["--when", "one:a.x:=>:1=a.json"],
        ["--when", "some:a.x:ge:1=a.json"],
        ["--when", "one:a.x:ge:one=a.json"],
        ["--when", "one:a.x:ge:1=../a.json"],
        ["--when", "one:a.x:ge:1=a.json", "--when", "one:a.x:ge:1=b.json"],
        ["--numbers", "/etc/passwd"],
        ["--numbers", "a.json", "--numbers", "b.json"],
    ],
)
def test_wrong_arguments_are_located(argv: list[str]) -> None:
    (error,) = read_arguments(["look", *argv], CONTRACTS).errors
    assert str(error.where) == f"arguments[{len(argv)}]"


def pegasus(made: Plan) -> dict[str, Any]:
    return abstract_workflow(made, choose_layout(made, slots=2, job_overhead_s=0, single_threshold_s=0), CONTRACTS)


def test_pegasus_carries_the_numbers_between_the_jobs() -> None:
    made = plan(LEADS, look("once", when="any(lead.area_km2 >= 1.5)"))
    data = pegasus(made)
    uses = {(job["id"], use["lfn"]): (use["type"], use.get("stageOut")) for job in data["jobs"] for use in job["uses"]}
    assert uses["lead-0", "lead-0.numbers.json"] == ("output", False)
    assert uses["once", "lead-5.numbers.json"] == ("input", None)
    assert uses["once", "once.seen"] == ("output", True)
    assert {"id": "lead-0", "children": ["once"]} in data["jobDependencies"]
    workflow = parse_abstract(data, CONTRACTS)
    again = expand_abstract(workflow, {"a.data": Path("/in/a.data")}, {}, {}, CONTRACTS)
    assert without_predictions(again) == without_predictions(made)


def test_pegasus_conditions_are_checked_when_read() -> None:
    def changed(job: Job) -> Job:
        return replace(job, when=tuple(replace(branch, number="height") for branch in job.when))

    made = plan(look("first"), look("second", when="first.flag > 0"))
    unknown = replace(made, jobs=tuple(map(changed, made.jobs)))
    silent = pegasus(made)
    first = silent["jobs"][0]
    first["arguments"] = first["arguments"][:-2]
    first["uses"] = [use for use in first["uses"] if use["lfn"] != "first.numbers.json"]
    del silent["jobDependencies"]
    for data, what in ((pegasus(unknown), "unknown number"), (silent, "no job writes numbers to first.numbers.json")):
        with pytest.raises(DocumentError) as caught:
            parse_abstract(data, CONTRACTS)
        (problem,) = caught.value.problems
        assert problem.path == "$.jobs[1].arguments"
        assert what in problem.what
