from __future__ import annotations

import json
import pickle
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dynamo.documents.problems import DocumentError
from dynamo.errors import NotFoundError
from dynamo.inspection.facts import InputFacts
from dynamo.modules.registry import contracts
from dynamo.workflows.arguments import build_arguments, read_arguments
from dynamo.workflows.document import Document
from dynamo.workflows.expand import expand
from dynamo.workflows.model import plan_from_json, plan_to_json
from dynamo.workflows.validate import parse_document
from dynamo.workflows.workflow import plan_run, read_workflow

FACTS = InputFacts(
    format="casa-nowcast",
    issue_time=datetime(2019, 6, 10, 0, 5, tzinfo=UTC),
    leads=tuple(range(31)),
    shape=(201, 201),
    crossings={35.0: tuple(range(1000, 1031)), 45.0: tuple(range(200, 231))},
)
INPUTS = {"nowcast": Path("/data/in.nc")}


def nowcast() -> Document:
    workflow = read_workflow("nowcast", contracts())
    assert isinstance(workflow, Document)
    return workflow


def document(**parts: Any) -> Document:
    data: dict[str, Any] = {
        "dynamo": 1,
        "name": "test",
        "version": "1",
        "inputs": {"nowcast": {"format": "casa-nowcast"}},
        "jobs": [
            {
                "id": "split",
                "module": "split",
                "inputs": {"nowcast": "{inputs.nowcast}"},
                "outputs": {"leads": {"for_each": {"lead": [0, 10]}, "name": "g{lead:02}.nc"}},
                "arguments": {"leads": [0, 10]},
            },
        ],
        "outputs": ["split.leads"],
        **parts,
    }
    return parse_document(data, contracts())


def test_the_nowcast_workflow_is_the_original_one() -> None:
    plan = expand(nowcast(), INPUTS, {}, {"nowcast": FACTS}, contracts())
    assert [len([job for job in plan.jobs if job.module == name]) for name in ("split", "contour", "plot")] == [
        1,
        31,
        31,
    ]
    assert plan.replicas == {"MERGE_DARTS_201906100005.nc": Path("/data/in.nc")}
    assert len(plan.products) == 62
    assert plan.products[0] == "mrt_STORM_CASA_0_20190610-000500.geojson"
    assert plan.products[-1] == "PredictedReflectivity_30min_20190610-000500.png"
    job = plan.by_id["contour-7"]
    assert job.reads == ("PredictedReflectivity_7min_20190610-000500.nc",)
    assert job.arguments == {"levels": [45.0], "min_points": 12, "min_area": 0.0, "decimals": 5}
    assert job.features == {"constant": 1.0, "cells": 40401.0, "crossings": 207.0, "active": 1.0}
    assert plan.by_id["split"].arguments == {"leads": list(range(31))}
    assert plan.by_id["split"].features == {"constant": 1.0, "cells": 31 * 40401.0}
    assert (plan.deadline_s, plan.priority, job.retries) == (60.0, 10, 2)
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


def test_expansion_is_deterministic() -> None:
    plans = [expand(nowcast(), INPUTS, {}, {"nowcast": FACTS}, contracts()) for _ in range(2)]
    assert json.dumps(plan_to_json(plans[0])) == json.dumps(plan_to_json(plans[1]))


def test_parameters_are_read_as_on_the_command_line() -> None:
    texts = expand(nowcast(), INPUTS, {"levels": "35,45", "min_points": "4"}, {"nowcast": FACTS}, contracts())
    values = expand(nowcast(), INPUTS, {"levels": [35, 45], "min_points": 4}, {"nowcast": FACTS}, contracts())
    assert texts == values
    job = texts.by_id["contour-1"]
    assert job.arguments["levels"] == [35.0, 45.0]
    assert job.features["crossings"] == 1001 + 201


def test_unknown_and_missing_names_are_all_reported() -> None:
    with pytest.raises(DocumentError) as caught:
        expand(nowcast(), {"nowcas": Path("x")}, {"level": 1, "min_points": "many"}, {}, contracts())
    found = {problem.path: problem for problem in caught.value.problems}
    assert found["$.inputs.nowcas"].nearest == "nowcast"
    assert found["$.inputs.nowcast"].what == "input nowcast is missing"
    assert found["$.parameters.level"].nearest == "levels"
    assert "whole number" in found["$.parameters.min_points"].expected
    assert pickle.loads(pickle.dumps(caught.value)).problems == caught.value.problems


def test_a_file_in_another_format_is_refused() -> None:
    facts = {"nowcast": replace(FACTS, format="casa-split")}
    with pytest.raises(DocumentError, match="casa-split"):
        expand(nowcast(), INPUTS, {}, facts, contracts())


def test_without_facts_what_needs_them_is_reported() -> None:
    with pytest.raises(DocumentError, match="issue"):
        expand(nowcast(), INPUTS, {}, {}, contracts())
    plan = expand(document(), INPUTS, {}, {}, contracts())
    assert plan.by_id["split"].features == {"constant": 1.0, "cells": 0.0}


@pytest.mark.parametrize(("path", "lfn"), [("/a/b.nc", "b.nc"), ("/a/b c.nc", "nowcast.nc"), ("/a/.x", "nowcast")])
def test_inputs_keep_their_names_where_these_are_plain(path: str, lfn: str) -> None:
    assert list(expand(document(), {"nowcast": Path(path)}, {}, {}, contracts()).replicas) == [lfn]


def test_files_are_joined_by_loop_variables() -> None:
    contour = {
        "id": "c",
        "module": "contour",
        "for_each": {"lead": [0, 10], "level": [35, 45.5]},
        "inputs": {"grid": {"from": "split.leads"}},
        "outputs": {"geojson": "{lead}_{level:.1}.geojson"},
        "arguments": {"levels": ["{level}"]},
    }
    every = {
        "id": "all",
        "module": "plot",
        "inputs": {"grid": {"from": "split.leads"}},
        "outputs": {"png": {"for_each": {"lead": [0, 10]}, "name": "img/{lead}.png"}},
    }
    base = document().to_json()
    plan = expand(
        document(jobs=[every, contour, *base["jobs"]], outputs=["c.geojson", "all.png"]),
        INPUTS,
        {},
        {"nowcast": FACTS},
        contracts(),
    )
    assert [job.id for job in plan.jobs] == ["all", "c-0-35", "c-0-45_5", "c-10-35", "c-10-45_5", "split"]
    assert plan.by_id["all"].reads == ("g00.nc", "g10.nc")
    assert plan.by_id["c-10-45_5"].reads == ("g10.nc",)
    assert plan.by_id["c-10-45_5"].writes == ("10_45.5.geojson",)
    assert plan.by_id["c-10-45_5"].arguments["levels"] == [45.5]
    assert plan.by_id["c-10-35"].features["crossings"] == 1010
    assert plan.by_id["all"].features["cells"] == 2 * 40401
    assert plan.ordered[0].id == "split"


def test_parameters_without_default_must_be_given() -> None:
    base = document().to_json()
    contour = {
        "id": "c",
        "module": "contour",
        "inputs": {"grid": {"from": "split.leads"}},
        "outputs": {"geojson": ["a.geojson", "b.geojson"]},
        "arguments": {"levels": "{parameters.levels}"},
    }
    made = document(parameters={"levels": {"type": "floats"}}, jobs=[*base["jobs"], contour])
    with pytest.raises(DocumentError, match="levels is missing"):
        expand(made, INPUTS, {}, {}, contracts())
    # The range of the module holds for values that come from a parameter too.
    with pytest.raises(DocumentError) as caught:
        expand(made, INPUTS, {"levels": "999"}, {}, contracts())
    assert caught.value.problems[0].path == "$.jobs[1].arguments.levels[0]"
    assert expand(made, INPUTS, {"levels": "10"}, {}, contracts()).by_id["c"].arguments["levels"] == [10.0]


def test_twenty_thousand_jobs_expand_and_one_more_does_not() -> None:
    def many(count: int) -> dict[str, Any]:
        return {
            "id": "p",
            "module": "plot",
            "for_each": {"a": list(range(count // 100)), "b": list(range(100))},
            "inputs": {"grid": "g00.nc"},
            "outputs": {"png": "{a}_{b}.png"},
        }

    base = document().to_json()
    with pytest.raises(DocumentError, match="20001 jobs"):
        document(jobs=[*base["jobs"], many(20_000)])
    plan = expand(document(jobs=[*base["jobs"], many(2_000)]), INPUTS, {}, {}, contracts())
    assert len(plan.jobs) == 2_001


def test_argument_lists_round_trip() -> None:
    modules = contracts()
    plan = plan_run(nowcast(), INPUTS, {"levels": [35, 45.25]}, {"nowcast": FACTS}, modules)
    for job in plan.jobs:
        call = read_arguments(build_arguments(job, modules), modules)
        assert call.checked().name == job.module
        assert (call.inputs, call.outputs, call.parameters) == (job.inputs, job.outputs, job.arguments)


@pytest.mark.parametrize(
    ("argv", "where"),
    [
        ([], "arguments"),
        (["contur"], "arguments[0]"),
        (["contour", "--inptu", "grid=a"], "arguments[1]"),
        (["contour", "--input"], "arguments[1]"),
        (["contour", "--input", "grid"], "arguments[2]"),
        (["contour", "--input", "grd=a"], "arguments[2]"),
        (["contour", "--input", "grid=../a"], "arguments[2]"),
        (["contour", "--param", "levels=x"], "arguments[2]"),
        (["contour", "--param", "level=1"], "arguments[2]"),
        (["contour", "--param", "levels=1", "--param", "levels=2"], "arguments[4]"),
    ],
)
def test_wrong_argument_lists_are_located(argv: list[str], where: str) -> None:
    from dynamo.errors import InputError

    with pytest.raises(InputError) as caught:
        read_arguments(argv, contracts()).checked()
    assert caught.value.where == where or str(caught.value.where).startswith(f"{where}[")


def test_unknown_templates_get_the_nearest_name() -> None:
    with pytest.raises(NotFoundError, match="did you mean nowcast"):
        read_workflow("nowcats", contracts())
