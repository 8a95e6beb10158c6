"""Jobs run or are skipped by what earlier ones recorded; the decision stands, and files tell it to those after."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from dynamo.contract import Call, Module, Number, Port
from dynamo.doors import MODULES
from dynamo.engines.base import RunFolder
from dynamo.errors import DynamoError, InputError
from dynamo.inspection.look import inspect_input
from dynamo.modules import command
from dynamo.modules.branching import MARK, Skip, run_if, why_not_made
from dynamo.modules.execute import Outcome, execute
from dynamo.modules.registry import contracts
from dynamo.modules.runner import read_results, run_task
from dynamo.runs.results import read_results as job_results
from dynamo.runs.results import skipped_jobs, sum_up
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.workflows.arguments import build_arguments
from dynamo.workflows.branches import Branch, parse_branch
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Plan
from dynamo.workflows.workflow import parse_workflow, plan_run
from tests.simulated import radar_files

DOCS = Path(__file__).parents[3] / "docs" / "howto" / "workflows.md"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return radar_files(tmp_path_factory.mktemp("sweep"), "odim", shape=(360, 300))[0]


def taught(sweep: Path, strong: float) -> Plan:
    """The plan of the document that the manual teaches."""
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)]
    document = parse_workflow(next(block for block in blocks if block["name"] == "storm_classes"), contracts())
    facts = {"sweep": inspect_input(sweep, [])}
    return plan_run(document, {"sweep": [sweep]}, {"strong": strong}, facts, contracts())


def prepared(root: Path, plan: Plan, *, together: bool) -> RunFolder:
    threshold, overhead = (1e6, 1.0) if together else (0.0, 0.0)
    layout = choose_layout(plan, slots=2, job_overhead_s=overhead, single_threshold_s=threshold)
    assert len(layout.tasks) == (1 if together else len(plan.jobs))
    folder = RunFolder(root)
    folder.prepare(plan, layout)
    return folder


def run(folder: RunFolder) -> list[dict[str, Any]]:
    """Run what is left of the run; return the new results."""
    lines: list[dict[str, Any]] = []
    for task in folder.read_layout().tasks:
        assert run_task(folder.root, task.id, lines.append)
    return lines


@pytest.mark.parametrize("together", [True, False])
def test_the_document_of_the_manual_in_weak_echo(together: bool, sweep: Path, tmp_path: Path) -> None:
    plan = taught(sweep, 80)
    folder = prepared(tmp_path / "run", plan, together=together)
    lines = {line["job"]: line for line in run(folder)}
    assert {job: line["state"] for job, line in lines.items()} == {
        "hail": "succeeded",
        "classes": "skipped",
        "grid": "skipped",
        "image": "skipped",
    }
    top = lines["hail"]["metrics"]["max_dbz"]
    assert 50 < top < 80
    why = f"hail.max_dbz is {top:.6g}, not >= 80"
    classes = plan.by_id["classes"].writes[0]
    assert lines["classes"]["reason"] == why
    assert lines["grid"]["reason"] == f"{classes} was not made: {why}"
    assert lines["image"]["reason"] == f"{plan.by_id['grid'].writes[0]} was not made: {why}"
    results = job_results(folder)
    assert list(skipped_jobs(folder, plan, results)) == ["classes", "grid", "image"]
    assert sum_up(results, 4)["jobs_done"] == 4
    assert sum_up(results, 4)["jobs_failed"] == 0
    # Under Pegasus there are no results, but marks where products belong.
    assert skipped_jobs(folder, plan, {}) == {"classes": why, "image": why}


def test_the_document_of_the_manual_in_strong_echo(sweep: Path, tmp_path: Path) -> None:
    plan = taught(sweep, 45)
    folder = prepared(tmp_path / "run", plan, together=True)
    lines = run(folder)
    assert [line["state"] for line in lines] == ["succeeded"] * 4
    for line in lines:
        declared = {number.name for number in contracts()[line["module"]].numbers}
        assert set(line["metrics"]) <= declared, line["module"]
    assert skipped_jobs(folder, plan, {}) == {}
    assert (folder.work / plan.by_id["image"].writes[0]).read_bytes().startswith(b"\x89PNG")


def test_a_decision_stands_when_a_run_goes_on(sweep: Path, tmp_path: Path) -> None:
    plan = taught(sweep, 80)
    folder = prepared(tmp_path / "run", plan, together=True)
    run(folder)
    numbers = folder.work / plan.by_id["hail"].numbers
    recorded = orjson.loads(numbers.read_bytes())
    numbers.write_bytes(orjson.dumps({**recorded, "max_dbz": 99.0}))
    assert run(folder) == []
    # A kill cut off the decision: it is made again from what was recorded, and nothing is computed for it.
    path = folder.results / "run.jsonl"
    numbers.write_bytes(orjson.dumps({**recorded, "max_dbz": 12.0}))
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    lines = run(folder)
    assert [line["job"] for line in lines] == ["classes", "grid", "image"]
    assert lines[0]["reason"] == "hail.max_dbz is 12, not >= 80"


def test_a_run_that_was_cut_off_anywhere_ends_the_same(sweep: Path, tmp_path: Path) -> None:
    plan = taught(sweep, 80)
    folder = prepared(tmp_path / "run", plan, together=True)
    run(folder)
    path = folder.results / "run.jsonl"
    whole = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    states = {line["job"]: (line["state"], line.get("reason")) for line in read_results(folder.results)}
    for end in [end - 9 for end in ends] + ends[:-1]:
        path.write_bytes(whole[:end])
        (folder.work / plan.by_id["image"].writes[0]).unlink()
        run(folder)
        assert {line["job"]: (line["state"], line.get("reason")) for line in read_results(folder.results)} == states
        assert list(skipped_jobs(folder, plan, {})) == ["classes", "image"]


def test_a_job_whose_numbers_are_gone_runs_again(sweep: Path, tmp_path: Path) -> None:
    plan = taught(sweep, 80)
    folder = prepared(tmp_path / "run", plan, together=True)
    run(folder)
    (folder.work / plan.by_id["hail"].numbers).unlink()
    assert [line["job"] for line in run(folder)] == ["hail"]


@pytest.mark.parametrize("strong", [45, 80])
def test_the_command_decides_as_the_runner_does(
    strong: float, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = taught(sweep, strong)
    folder = prepared(tmp_path / "run", plan, together=True)
    run(folder)
    apart = tmp_path / "apart"
    apart.mkdir()
    for lfn, path in plan.replicas.items():
        (apart / lfn).symlink_to(path)
    monkeypatch.chdir(apart)
    told: dict[str, str] = {}
    for job in plan.ordered:
        monkeypatch.setattr(sys, "argv", ["dynamo-module", *build_arguments(job, contracts())])
        command.main()
        told[job.id] = orjson.loads(capsys.readouterr().out).get("skipped", "")
    assert told == {job: result.skipped for job, result in job_results(folder).items()}
    for lfn in plan.writers:
        assert (apart / lfn).read_bytes() == (folder.work / lfn).read_bytes(), lfn


def test_modules_declare_all_numbers_that_they_record(sweep: Path, tmp_path: Path) -> None:
    nowcast = NowcastSimulator("cells", (60, 70), datetime(2019, 6, 10, tzinfo=UTC), leads=1, seed=4).write(tmp_path, 0)
    steps: list[tuple[str, str, Path, str]] = [
        ("split", "nowcast", nowcast, "leads"),
        ("contour", "grid", tmp_path / "split", "geojson"),
        ("plot", "grid", tmp_path / "split", "png"),
        ("hail", "radar", sweep, "hail"),
        ("grid", "product", tmp_path / "hail", "grid"),
        ("composite", "grids", tmp_path / "grid", "grid"),
        ("hail_contour", "grid", tmp_path / "composite", "geojson"),
        ("hail_plot", "grid", tmp_path / "composite", "png"),
        ("hydroclass", "radar", sweep, "classes"),
    ]
    assert {name for name, *_ in steps} == {part.name for part in MODULES.listed() if part.origin == "dynamo"}
    for name, given, source, made in steps:
        found = contracts()[name]
        parameters = {"leads": [0]} if name == "split" else {}
        outcome = execute(found, {given: [source]}, {made: [tmp_path / name]}, parameters)
        assert set(outcome.metrics) <= {number.name for number in found.numbers}, name
        assert all(number.unit and number.description for number in found.numbers)


def module(run: Any = None, *, partial: bool = False) -> Module:
    def write(call: Call) -> dict[str, float]:
        names = [path.name for port in sorted(call.inputs) for path in call.inputs[port]]
        call.output("out").write_text(" ".join(names))
        return {"count": float(len(names)), "nothing": float("nan")}

    return Module(
        "join",
        "1",
        "",
        inputs=(
            Port("files", "x", "", many=True, partial=partial),
            Port("extra", "x", "", required=False, many=True),
        ),
        outputs=(Port("out", "x", ""),),
        parameters=(),
        run=run or write,
        numbers=(Number("count", ""),),
    )


def files(folder: Path, **states: bool) -> list[Path]:
    """Write files, those of false states as marks."""
    for name, made in states.items():
        (folder / name).write_bytes(b"data" if made else MARK + b"quiet\n")
    return [folder / name for name in states]


def test_ports_without_files_of_skipped_jobs(tmp_path: Path) -> None:
    both, one = files(tmp_path, a=True, b=True), files(tmp_path, c=True, d=False)
    out = {"out": [tmp_path / "out"]}

    def joined(*, partial: bool = False, **inputs: list[Path]) -> str:
        outcome = run_if(module(partial=partial), inputs, out, {})
        if isinstance(outcome, Skip):
            return outcome.reason
        return "; ".join([(tmp_path / "out").read_text(), *outcome.remarks])

    assert joined(files=both) == "a b"
    assert joined(files=one) == "d was not made: quiet"
    assert why_not_made(tmp_path / "out") == "quiet"
    assert joined(files=one, partial=True) == "c; join did without 1 of 2 files, which were not made"
    assert joined(files=one[1:], partial=True) == "d was not made: quiet"
    without = "a b; join did without extra, which was not made"
    assert joined(files=both, extra=one[1:]) == without
    assert joined(files=both, extra=one) == without, "a part would pass for all"


def test_numbers_and_marks(tmp_path: Path) -> None:
    (source,) = files(tmp_path, a=True)
    out, numbers = tmp_path / "deep" / "out", tmp_path / "out.numbers.json"
    out.parent.mkdir()

    def decided(text: str) -> Outcome | Skip:
        when = (Branch(**{**vars(parse_branch(text)), "files": ("in.json",)}),)
        return run_if(module(), {"files": [source]}, {"out": [out]}, {}, when=when, numbers=numbers, folder=tmp_path)

    with pytest.raises(DynamoError, match="no such file"):
        decided("first.x > 1")
    for broken in (b"", b"[1]", b'{"x": null}', b"text"):
        (tmp_path / "in.json").write_bytes(broken)
        with pytest.raises(InputError, match="not the numbers of a job"):
            decided("first.x > 1")
    (tmp_path / "in.json").write_bytes(b'{"x": 2.0}')
    assert isinstance(decided("first.x > 1"), Outcome)
    assert orjson.loads(numbers.read_bytes()) == {"count": 1.0}, "what is no number is not recorded"
    assert decided("first.x > 3") == Skip("first.x is 2, not > 3", "first.x is 2, not > 3")
    assert why_not_made(out) == why_not_made(numbers) == "first.x is 2, not > 3"
    (tmp_path / "in.json").write_bytes(MARK + b"quiet\n")
    assert decided("first.x > 1") == Skip("first was skipped: quiet", "quiet")
    assert why_not_made(out) == "quiet"


def test_what_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(MARK + b"x" * 5000)
    (tmp_path / "empty").touch()
    assert [why_not_made(tmp_path / name) for name in ("large", "empty", "absent", "empty/below", ".")] == [None] * 5


def test_jobs_after_a_failed_one_are_not_skipped_but_left_out(sweep: Path, tmp_path: Path) -> None:
    plan = taught(sweep, 45)
    folder = prepared(tmp_path / "run", plan, together=True)
    # A folder in the place of the numbers makes the first job fail, whoever runs it.
    (folder.work / plan.by_id["hail"].numbers).mkdir()
    assert not run_task(folder.root, "run")
    assert [(line["job"], line["state"]) for line in read_results(folder.results)] == [("hail", "failed")]
