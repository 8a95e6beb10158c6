"""Inputs of a document that a run may be without, and inputs of several files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dynamo.contract import Module, Port
from dynamo.documents.problems import DocumentError
from dynamo.inspection.facts import InputFacts
from dynamo.workflows.expand import expand
from dynamo.workflows.model import Plan
from dynamo.workflows.validate import parse_document, validate

FACTS = InputFacts("sweep", datetime(2019, 6, 10, 0, 20, 15, tzinfo=UTC), (0,), (360, 1920), radar="XADD")
CONTRACTS = {
    "see": Module(
        "see",
        "1",
        "",
        inputs=(
            Port("radar", "sweep|volume", "", many=True),
            Port("profile", "sounding", "", required=False),
            Port("one", "sweep|volume", "", required=False),
        ),
        outputs=(Port("out", "seen", ""),),
        parameters=(),
        run=lambda _: {},
    )
}


def document(**changes: Any) -> dict[str, Any]:
    return {
        "dynamo": 1,
        "name": "see",
        "version": "1",
        "inputs": {
            "volume": {"format": "sweep|volume", "many": True},
            "sounding": {"format": "sounding", "required": False},
        },
        "jobs": [
            {
                "id": "see",
                "module": "see",
                "inputs": {"radar": "{inputs.volume}", "profile": "{inputs.sounding}"},
                "outputs": {"out": "{inputs.volume.radar}-{issue:%Y%m%d-%H%M%S}.seen"},
            }
        ],
        "outputs": ["see.out"],
        **changes,
    }


def plan(inputs: dict[str, Path | list[Path]], data: dict[str, Any] | None = None) -> Plan:
    return expand(parse_document(data or document(), CONTRACTS), inputs, {}, {"volume": FACTS}, CONTRACTS)


def test_an_absent_input_takes_its_port_with_it() -> None:
    made = plan({"volume": Path("/data/a.nc")})
    assert made.jobs[0].inputs == {"radar": ("a.nc",)}
    assert made.products == ("XADD-20190610-002015.seen",)
    assert list(made.replicas) == ["a.nc"]


def test_several_files_of_one_input() -> None:
    made = plan({"volume": [Path("/data/b.nc"), Path("/data/a.nc")], "sounding": Path("/data/s.txt")})
    assert made.jobs[0].inputs == {"radar": ("b.nc", "a.nc"), "profile": ("s.txt",)}
    assert made.replicas["a.nc"] == Path("/data/a.nc")


def test_files_of_the_same_name_are_numbered() -> None:
    made = plan({"volume": [Path("/one/a.nc"), Path("/two/a.nc")]})
    assert made.jobs[0].inputs["radar"] == ("volume-1.nc", "volume-2.nc")
    assert made.replicas["volume-2.nc"] == Path("/two/a.nc")


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({}, "input volume is missing"),
        ({"volume": []}, "input volume is missing"),
        ({"volume": Path("a"), "sounding": [Path("b"), Path("c")]}, "2 files"),
    ],
)
def test_wrong_numbers_of_files(inputs: dict[str, Path | list[Path]], says: str) -> None:
    with pytest.raises(DocumentError) as error:
        plan(inputs)
    assert says in str(error.value)


def problems(**changes: Any) -> str:
    return " / ".join(str(problem) for problem in validate(document(**changes), CONTRACTS))


def job(**inputs: str) -> list[dict[str, Any]]:
    return [{"id": "see", "module": "see", "inputs": inputs, "outputs": {"out": "x.seen"}}]


def test_validation_looks_at_both_cases() -> None:
    assert problems() == ""
    assert "the input is optional" in problems(
        inputs={"volume": {"format": "sweep", "required": False}}, jobs=job(radar="{inputs.volume}")
    )
    assert "exactly one file" in problems(jobs=job(radar="{inputs.volume}", one="{inputs.volume}"))
    assert "is a list" in problems(jobs=job(radar="x{inputs.volume}"))
    named = job(radar="{inputs.volume}")
    named[0]["outputs"] = {"out": "{inputs.sounding.issue}.seen"}
    assert "unknown placeholder {inputs.sounding.issue}" in problems(jobs=named)
    assert "keep their own" in problems(inputs={"volume": {"format": "sweep", "many": True, "name": "x"}})
    assert "format" in problems(inputs={"volume": {"format": "sweep|swoop", "many": True}})


def test_a_port_must_take_every_format_that_may_come() -> None:
    assert "in format sounding|sweep" in problems(
        inputs={"volume": {"format": "sounding|sweep", "many": True}}, jobs=job(radar="{inputs.volume}")
    )
