"""Modules are held to their contracts; the runner resumes, and one failing job does not take the others along."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from dynamo.contract import Parameter
from dynamo.errors import DynamoError, InputError, NotFoundError
from dynamo.modules.execute import execute
from dynamo.modules.registry import contracts, find_module
from dynamo.modules.runner import read_results, run_task
from dynamo.simulate.nowcast import NowcastSimulator

SIMULATOR = NowcastSimulator("cells", (60, 70), datetime(2019, 6, 10, tzinfo=UTC), leads=3, seed=4)


@pytest.fixture
def nowcast(tmp_path: Path) -> Path:
    return SIMULATOR.write(tmp_path, 0)


def test_every_module_has_a_contract() -> None:
    for name, module in contracts().items():
        assert module.name == name
        assert module.description
        for parameter in module.parameters:
            assert parameter.default is not None
            text = parameter.format(parameter.check(parameter.default, where=name))
            assert parameter.parse(text, where=name) == parameter.default
            assert parameter.kind in ("str", "bool") or parameter.unit, f"{name}.{parameter.name} has no unit"


def test_the_three_steps(tmp_path: Path, nowcast: Path) -> None:
    leads = [tmp_path / f"lead{lead}.nc" for lead in range(3)]
    execute(find_module("split"), {"nowcast": [nowcast]}, {"leads": leads}, {"leads": [0, 1, 2]})
    shapes = [tmp_path / f"{lead}.geojson" for lead in range(3)]
    outcome = execute(find_module("contour"), {"grid": leads}, {"geojson": shapes}, {"levels": [35.0]})
    assert outcome.metrics["grids"] == 3
    assert outcome.metrics["polygons"] > 0
    direct = [tmp_path / f"direct{lead}.geojson" for lead in range(3)]
    execute(find_module("contour"), {"grid": [nowcast]}, {"geojson": direct}, {"levels": [35.0]})
    assert [path.read_bytes() for path in direct] == [path.read_bytes() for path in shapes]
    image = tmp_path / "0.png"
    execute(find_module("plot"), {"grid": leads[:1]}, {"png": [image]}, {})
    assert image.stat().st_size > 500


def test_contract_is_checked_before(tmp_path: Path, nowcast: Path) -> None:
    contour = find_module("contour")
    out = {"geojson": [tmp_path / "x.geojson"]}
    with pytest.raises(InputError, match="no input 'grids'"):
        execute(contour, {"grids": [nowcast]}, out, {})
    with pytest.raises(InputError, match="output geojson is missing"):
        execute(contour, {"grid": [nowcast]}, {}, {})
    with pytest.raises(NotFoundError, match="no such file"):
        execute(contour, {"grid": [tmp_path / "absent"]}, out, {})
    with pytest.raises(InputError, match=r"contour\.levels\[0\].*out of range.*dBZ"):
        execute(contour, {"grid": [nowcast]}, out, {"levels": [500]})
    with pytest.raises(InputError, match="no parameter 'level'"):
        execute(contour, {"grid": [nowcast]}, out, {"level": 40})
    with pytest.raises(InputError, match="more grids than"):
        execute(contour, {"grid": [nowcast]}, out, {})
    with pytest.raises(NotFoundError, match="contour, grid, hail"):
        find_module("absent")


def test_outputs_are_checked_after(tmp_path: Path, nowcast: Path) -> None:
    (tmp_path / "locked").write_text("a file where a folder is needed")
    with pytest.raises(DynamoError, match=r"module contour: "):
        execute(find_module("contour"), {"grid": [nowcast]}, {"geojson": [tmp_path / "locked" / "x"] * 3}, {})


@pytest.mark.parametrize(
    ("parameter", "text", "value"),
    [
        (Parameter("n", "int", "", default=1), "12", 12),
        (Parameter("x", "float", "", default=1.0), "2.5", 2.5),
        (Parameter("b", "bool", "", default=False), "yes", True),
        (Parameter("l", "floats", "", default=[1.0]), "35,45.5", [35.0, 45.5]),
        (Parameter("s", "str", "", default="a", choices=("a", "b")), "b", "b"),
    ],
)
def test_parameters_are_read_from_text(parameter: Parameter, text: str, value: object) -> None:
    assert parameter.parse(text, where="p") == value


@pytest.mark.parametrize("bad", [float("nan"), "x" * 2000, [], True, None, {"a": 1}, 1.5, 10**9])
def test_unfit_values_are_refused(bad: object) -> None:
    with pytest.raises(InputError, match="p: "):
        Parameter("n", "int", "", default=1, minimum=0, maximum=100).check(bad, where="p")


def prepare(root: Path, nowcast: Path) -> None:
    for folder in ("work", "tasks", "results"):
        (root / folder).mkdir(parents=True)
    (root / "work" / "in.nc").symlink_to(nowcast)
    jobs = [
        job("split", {"nowcast": ["in.nc"]}, {"leads": ["0.nc", "1.nc"]}, {"leads": [0, 1]}),
        job("contour", {"grid": ["0.nc"]}, {"geojson": ["0.geojson"]}, {}),
        job("plot", {"grid": ["absent.nc"]}, {"png": ["absent.png"]}, {}),
        job("plot", {"grid": ["1.nc"]}, {"png": ["1.png"]}, {}, name="plot1"),
    ]
    (root / "tasks" / "t.json").write_bytes(orjson.dumps({"id": "t", "jobs": jobs}))


def job(module: str, inputs: object, outputs: object, arguments: object, name: str | None = None) -> dict[str, object]:
    return {
        "id": name or module,
        "module": module,
        "inputs": inputs,
        "outputs": outputs,
        "arguments": arguments,
    }


def test_runner_names_whatever_a_module_fails_with(
    tmp_path: Path, nowcast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "run"
    prepare(root, nowcast)

    def damaged(*_: object, **__: object) -> None:
        raise struct.error("unpack requires 4 bytes")

    monkeypatch.setattr("dynamo.modules.branching.execute", damaged)
    assert not run_task(root, "t")
    errors = {line["error"] for line in read_results(root / "results")}
    assert errors == {"error: unpack requires 4 bytes"}


def test_runner_goes_on_after_a_failure_and_resumes(tmp_path: Path, nowcast: Path) -> None:
    root = tmp_path / "run"
    prepare(root, nowcast)
    assert not run_task(root, "t")
    states = {line["job"]: line["state"] for line in read_results(root / "results")}
    assert states == {"split": "succeeded", "contour": "succeeded", "plot": "failed", "plot1": "succeeded"}
    (root / "work" / "absent.nc").symlink_to("0.nc")
    with (root / "results" / "t.jsonl").open("ab") as stream:
        stream.write(b'{"job":"contour","sta')  # a kill cut this line
    seen: list[str] = []
    assert run_task(root, "t", lambda line: seen.append(line["job"]))
    assert seen == ["plot"]
    assert {line["state"] for line in read_results(root / "results")} == {"succeeded"}


def test_jobs_that_need_a_failed_one_are_left_out_whatever_it_wrote(tmp_path: Path, nowcast: Path) -> None:
    root = tmp_path / "run"
    prepare(root, nowcast)
    assert not run_task(root, "t")
    for path in (*(root / "work").glob("*.png"), *(root / "work").glob("*.geojson"), *(root / "results").iterdir()):
        path.unlink()
    # The leads are there from before; the job that makes them fails now.
    (root / "work" / "in.nc").unlink()
    (root / "work" / "in.nc").write_bytes(b"no nowcast")
    assert not run_task(root, "t")
    states = {line["job"]: line["state"] for line in read_results(root / "results")}
    assert states == {"split": "failed", "plot": "failed"}


def test_a_result_without_its_file_is_made_again(tmp_path: Path, nowcast: Path) -> None:
    root = tmp_path / "run"
    prepare(root, nowcast)
    run_task(root, "t")
    (root / "work" / "1.png").unlink()
    seen: list[str] = []
    run_task(root, "t", lambda line: seen.append(line["job"]))
    assert seen == ["plot", "plot1"]


def test_cancel_stops_before_the_next_job(tmp_path: Path, nowcast: Path) -> None:
    root = tmp_path / "run"
    prepare(root, nowcast)
    assert not run_task(root, "t", lambda _: (root / "cancel").touch())
    assert [line["job"] for line in read_results(root / "results")] == ["split"]
