"""Damaged data on the local engine: blocked, drawn for review, released once or dropped; own checks judge, too."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from dynamo.cli.main import register_all
from tests.integration.plugins.packages import Packages, document
from tests.integration.watch.watch_support import run_dynamo, write_small
from tests.property.test_review_kills import write_stuck
from tests.waiting import wait_for

CHECK = """
from dynamo.checks.model import Check
from dynamo.radar.quality.view import Measure

STRONGEST = Check("strongest", "field", "Strongest echo.", "dBZ", suspect=50.0, fail=55.0, severity="block",
                  measure=lambda view: Measure(float(view.values.max()), "anywhere"))
"""
#: Exit code of a run that failed.
BLOCKED = 6
#: Copies a nowcast, and reports a value that no package has a check for.
MODULE = """
from dynamo.checks.model import Examination
from dynamo.contract import Call, Module, Port

def _run(call):
    from dynamo.files import write_bytes
    write_bytes(call.output("copy"), call.input("nowcast").read_bytes())
    values = {"our_share": (0.4, "row 3")}
    call.checks.append(Examination("ours", "copy.nc", "grid", "2026-05-20T18:00:00Z", values).to_json())
    return {}

MODULE = Module(
    name="copy", version="1", description="Copy a nowcast.",
    inputs=(Port("nowcast", "casa-nowcast", "What is copied."),),
    outputs=(Port("copy", "casa-nowcast", "The copy."),),
    parameters=(), run=_run,
)
"""


#: Makes contours of what is not damaged.
SOUND = {
    "dynamo": 1,
    "name": "sound",
    "version": "1",
    "inputs": {"nowcast": {"format": "casa-nowcast"}},
    "jobs": [
        {
            "id": "split",
            "module": "split",
            "inputs": {"nowcast": "{inputs.nowcast}"},
            "outputs": {"leads": {"for_each": {"lead": "{inputs.nowcast.leads}"}, "name": "{lead}.nc"}},
            "arguments": {"leads": "{inputs.nowcast.leads}"},
        },
        {
            "id": "contour",
            "module": "contour",
            "for_each": {"lead": "{inputs.nowcast.leads}"},
            "when": "split.check_flag < 4",
            "inputs": {"grid": {"from": "split.leads"}},
            "outputs": {"geojson": "{lead}.geojson"},
        },
    ],
    "outputs": ["contour.geojson"],
}


def look(root: Path, *arguments: str, code: int = 0) -> Any:
    """Call a command in this process, which is much faster."""
    done = CliRunner().invoke(register_all(), [*arguments, "--json", "--config", str(root / "dynamo.toml")])
    assert done.exit_code == code, (done.output, done.exception)
    return orjson.loads(done.stdout)


def call(root: Path, *arguments: str, code: int | None = 0) -> Any:
    done = run_dynamo(root, *arguments, "--json")
    assert code is None or done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return orjson.loads(done.stdout)


def published(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "products").glob("nowcast/*/*/*.geojson"))


def test_a_blocked_run_is_reviewed_with_a_picture_and_published_once_released(tmp_path: Path) -> None:
    (tmp_path / "dynamo.toml").write_text(
        '[folders]\nproducts = "products"\n[engines.local]\noptions = { workers = 1 }\n'
    )
    stuck = write_stuck(tmp_path)
    order = ("submit", "nowcast", "-i", f"nowcast={stuck}", "--wait")
    run = call(tmp_path, *order, code=BLOCKED)["id"]
    assert published(tmp_path) == []
    (item,) = look(tmp_path, "quarantine", "list")
    assert (item["kind"], item["id"], item["source"], item["at"]) == ("run", run, "nowcast", str(stuck))
    assert item["reason"].startswith("blocked by a check: stripes: 39, limit 15 (row 1) in MERGE_DARTS")
    # Retried without a decision, it waits as before, and counts once.
    before = look(tmp_path, "checks", "results")
    run_dynamo(tmp_path, "runs", "retry", run, "--wait")
    assert published(tmp_path) == []
    again = look(tmp_path, "checks", "results", "--run", run)
    assert [(row["check"], row["flag"]) for row in again["results"]] == [
        (row["check"], row["flag"]) for row in before["results"]
    ]
    assert look(tmp_path, "checks", "results")["days"] == before["days"]

    shown = look(tmp_path, "quarantine", "show", run[:8])
    assert shown["holds"]["format"] == "casa-nowcast"
    assert Path(shown["picture"]).read_bytes().startswith(b"\x89PNG")
    text = CliRunner().invoke(register_all(), ["quarantine", "show", run, "--config", str(tmp_path / "dynamo.toml")])
    assert "holds     casa-nowcast of 2026-05-20 18:00:00 UTC, 40 x 40, 2 leads, at most 35 dBZ\n" in text.stdout
    # Retention has tidied the run in the meantime: it is made again.
    shutil.rmtree(look(tmp_path, "runs", "show", run)["run_dir"])
    assert call(tmp_path, "quarantine", "release", run, "--reason", "a test signal")["state"] == "released"
    wait_for(lambda: look(tmp_path, "runs", "show", run)["state"] == "succeeded", what="published")
    assert published(tmp_path) == [
        "mrt_STORM_CASA_0_20260520-180000.geojson",
        "mrt_STORM_CASA_1_20260520-180000.geojson",
    ]
    refused = run_dynamo(tmp_path, "quarantine", "release", run)
    assert (refused.returncode, "it was released before" in refused.stderr) == (2, True)
    assert look(tmp_path, "quarantine", "list") == []
    assert [item["reason"].rpartition("; ")[2] for item in look(tmp_path, "quarantine", "list", "-s", "released")] == [
        "released: a test signal"
    ]
    assert look(tmp_path, "checks", "results")["days"] == before["days"]


def test_checks_of_a_package_and_of_a_module_block_and_a_drop_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = Packages(tmp_path / "site")
    packages.install("our-checks", "1", CHECK, {"dynamo.checks": {"strongest": "our_checks:STRONGEST"}})
    packages.install_module("our-module", "1", "copy", MODULE)
    monkeypatch.setenv("PYTHONPATH", packages.environment["PYTHONPATH"])
    (tmp_path / "dynamo.toml").write_text(
        '[folders]\nproducts = "products"\n[engines.local]\noptions = { workers = 1 }\n'
        '[checks.our_share]\nfail = 0.3\nseverity = "block"\n'
    )
    listed = {row["name"]: row for row in call(tmp_path, "checks", "list")}
    assert listed["strongest"]["origin"] == "our-checks 1"
    assert listed["our_share"]["fail"] == 0.3
    good = write_small(tmp_path, 0)
    assert call(tmp_path, "checks", "run", str(good), code=1)["checks"]
    run = call(tmp_path, "submit", "nowcast", "-i", f"nowcast={good}", "--wait", code=BLOCKED)["id"]
    (item,) = look(tmp_path, "quarantine", "list")
    assert item["reason"].startswith("blocked by a check: strongest: ")
    assert look(tmp_path, "quarantine", "drop", run, "--reason", "of no use")["state"] == "dropped"
    refused = run_dynamo(tmp_path, "quarantine", "release", run)
    assert (refused.returncode, "it was dropped before" in refused.stderr) == (2, True)
    assert published(tmp_path) == []

    (tmp_path / "copying.json").write_bytes(orjson.dumps(document("copy")))
    call(tmp_path, "submit", str(tmp_path / "copying.json"), "-i", f"nowcast={good}", "--wait", code=BLOCKED)
    (item,) = look(tmp_path, "quarantine", "list")
    assert item["reason"] == "blocked by a check: our_share: 0.4, limit 0.3 (row 3) in copy.nc"
    assert list((tmp_path / "products").glob("copying/*/*")) == []


@pytest.mark.parametrize("engine", ["local", pytest.param("condor", marks=pytest.mark.condor)])
def test_jobs_are_skipped_for_what_checks_found(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    if engine == "condor":
        request.getfixturevalue("condor_pool")
    (tmp_path / "dynamo.toml").write_text("[engines.local]\noptions = { workers = 1 }\n")
    (tmp_path / "sound.json").write_bytes(orjson.dumps(SOUND))
    for name in ("stuck", "sound"):
        (tmp_path / name).mkdir()
    files = {"stuck": write_stuck(tmp_path / "stuck"), "sound": write_small(tmp_path / "sound", 0, side=41)}
    found = {}
    for name, path in files.items():
        run = call(tmp_path, "submit", "sound.json", "-i", f"nowcast={path}", "-e", engine, "--wait", code=None)
        found[name] = look(tmp_path, "runs", "show", run["id"])
    stuck, sound = found["stuck"], found["sound"]
    assert stuck["skipped"] == dict.fromkeys(["contour-0", "contour-1"], "split.check_flag is 4, not < 4")
    assert (stuck["state"], stuck["reason"][:18]) == ("failed", "blocked by a check")
    assert (sound["state"], sound["skipped"], len(sound["products"])) == ("succeeded", {}, 2)
