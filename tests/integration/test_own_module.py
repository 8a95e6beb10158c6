"""`examples/own-module`, installed by pip into a virtualenv: listed, checked, planned, run on engines, uninstalled."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dynamo.pool.record import PoolRecord

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLE = CHECKOUT / "examples" / "own-module"

#: A document of somebody who trusts that the module is installed.
MINE = {
    "dynamo": 1,
    "name": "mine",
    "version": "1",
    "description": "A step of my own package.",
    "inputs": {"nowcast": {"format": "casa-nowcast", "description": "x"}},
    "jobs": [
        {
            "id": "cells",
            "module": "mypkg_cells",
            "inputs": {"nowcast": "{inputs.nowcast}"},
            "outputs": {"cells": "cells.geojson"},
        }
    ],
    "outputs": ["cells.cells"],
}


@dataclass(frozen=True)
class Installation:
    """A virtualenv with the example, and a folder with a nowcast."""

    python: Path
    folder: Path
    nowcast: Path

    def run(self, *arguments: str, code: int = 0, cwd: Path | None = None) -> str:
        """Run ``python ARGUMENTS``; return what it prints, on standard error where it fails."""
        done = subprocess.run(
            [str(self.python), *arguments],
            cwd=cwd or self.folder,
            env={**os.environ, "PYTHONPATH": "", "DYNAMO_CONFIG": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stderr if code == 5 else done.stdout

    def dynamo(self, *arguments: str, code: int = 0) -> str:
        """Run ``dynamo ARGUMENTS``."""
        return self.run("-m", "dynamo", *arguments, code=code)


def _pip(python: Path, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *arguments, "--quiet"], check=True)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    folder = tmp_path_factory.mktemp("own")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    # The libraries are those of this environment, DyNamo is this checkout.
    paths = [str(CHECKOUT), *(path for path in sys.path if Path(path).name in ("site-packages", "dist-packages"))]
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in paths))
    python = folder / "venv" / "bin" / "python"
    # A copy is built, because setuptools leaves files in the tree.
    shutil.copytree(EXAMPLE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    _pip(python, "install", "--no-index", "--no-deps", "--no-build-isolation", str(folder / "source"))
    made = Installation(python, folder, folder / "in" / "MERGE_DARTS_201906100000.nc")
    made.dynamo(
        *("simulate", "nowcast", "--size", "120x160", "--leads", "3", "--seed", "7"),
        *("--start", "2019-06-10T00:00:00Z", "--out", "in"),
    )
    assert made.nowcast.is_file()
    return made


def test_it_is_listed_with_its_package(installation: Installation) -> None:
    rows = [line.split() for line in installation.dynamo("module", "list").splitlines()]
    assert ["mypkg_cells", "mypkg", "1.0", "nowcast", "cells"] in [row[:5] for row in rows]
    (listed,) = (
        module
        for module in json.loads(installation.dynamo("module", "list", "--json"))
        if module["name"] == "mypkg_cells"
    )
    assert listed["origin"] == "mypkg 1.0"
    assert [parameter["name"] for parameter in listed["parameters"]] == ["level", "min_area"]
    assert "From mypkg 1.0." in installation.dynamo("module", "show", "mypkg_cells")


def test_its_own_tests_pass(installation: Installation) -> None:
    source = installation.folder / "source"
    assert " passed" in installation.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=source)


def test_documents_with_it_are_checked_by_its_contract(installation: Installation) -> None:
    mine = installation.folder / "mine.json"
    mine.write_text(json.dumps(MINE))
    assert installation.dynamo("workflow", "validate", str(mine)) == "mine 1: OK\n"
    assert installation.dynamo("workflow", "validate", "source/mine.json") == "mine 1: OK\n"
    job = {**MINE["jobs"][0], "arguments": {"levl": 1}}  # type: ignore[index]
    mine.write_text(json.dumps({**MINE, "jobs": [job]}))
    assert "(did you mean level?)" in installation.dynamo("workflow", "validate", str(mine), code=3)


def test_it_is_planned_for_pegasus_and_its_command_runs(installation: Installation) -> None:
    words = ["source/mine.json", "-i", f"nowcast={installation.nowcast}", "-p", "level=40", "-o", "plan"]
    installation.dynamo("workflow", "plan", *words)
    plan = installation.folder / "plan"
    (transformation,) = yaml.safe_load((plan / "transformations.yml").read_text())["transformations"]
    assert transformation["name"] == "mypkg_cells"
    assert transformation["metadata"] == {"dynamo.module_version": "1"}
    (site,) = transformation["sites"]
    assert site["pfn"].endswith("/dynamo-module")
    assert site["container"] == "dynamo-modules"
    (job,) = yaml.safe_load((plan / "workflow.yml").read_text())["jobs"]
    assert job["name"] == "mypkg_cells"
    assert job["arguments"][:1] == ["mypkg_cells"]
    assert "level=40" in job["arguments"]
    # What the plan says is what a worker runs.
    shutil.copy2(installation.nowcast, plan)
    installation.run("-m", "dynamo.modules.command", *job["arguments"], cwd=plan)
    features = json.loads((plan / "cells.geojson").read_text())["features"]
    assert features
    assert all(feature["properties"]["max_dbz"] >= 40 for feature in features)


@pytest.mark.condor
def test_its_products_are_the_same_on_local_and_condor(installation: Installation, condor_pool: PoolRecord) -> None:
    for engine in ("local", "condor"):
        (installation.folder / ".dynamo").mkdir()
        words = ["source/mine.json", "-i", f"nowcast={installation.nowcast}", "--engine", engine]
        run = json.loads(installation.dynamo("submit", *words, "--wait", "--json", "--out", engine))
        assert run["state"] == "succeeded"
        assert run["engine"] == engine
        # The key of a run does not hold its engine: without this the second would be the first.
        shutil.rmtree(installation.folder / ".dynamo")
    local, condor = ((installation.folder / engine / "cells.geojson").read_bytes() for engine in ("local", "condor"))
    assert local == condor
    assert len(json.loads(local)["features"]) > 3


def test_without_the_package_the_error_is_clear(installation: Installation) -> None:
    # The last test of this file: it takes the package away.
    _pip(installation.python, "uninstall", "--yes", "mypkg")
    told = installation.dynamo("workflow", "validate", "source/mine.json", code=3)
    assert "$.jobs[0].module: unknown module 'mypkg_cells'" in told
    assert "expected composite, contour" in told
