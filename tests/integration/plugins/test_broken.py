"""Broken packages of others: each is one clear line where it is needed, and costs nothing anywhere else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.plugins.packages import MODULE, Packages, document

#: Source of a package, and what is said of it.
BROKEN = {
    "import_error": ("import a_library_that_nobody_has", "ModuleNotFoundError: No module named 'a_library_that_"),
    "syntax_error": ("MODULE = (", "SyntaxError: '(' was never closed ("),
    "leaves": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "raises": ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    "no_such": ("OTHER = 1", "AttributeError: module 'p_no_such' has no attribute 'MODULE'"),
    "wrong_type": ("MODULE = {'name': 'wrong_type'}", "is a dict, not a dynamo.contract.Module"),
    "other_name": (MODULE.format(name="elsewhere"), "its contract calls it 'elsewhere'"),
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """A good module, every broken one, two packages that want one name, and one that wants a built-in's."""
    made = Packages(tmp_path_factory.mktemp("site"))
    made.install_module("p-good", "1.0", "good")
    for part, (source, _) in BROKEN.items():
        made.install_module(f"p-{part}", "2.1", part, source)
    made.install_module("p-one", "1.0", "twice", MODULE.format(name="twice"))
    made.install_module("p-two", "3.0", "twice", MODULE.format(name="twice"))
    made.install_module("p-shadow", "1.0", "contour", "raise RuntimeError('the shadow was imported')")
    return made


@pytest.fixture(scope="module")
def listed(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return packages.dynamo("module", "list", cwd=tmp_path_factory.mktemp("listed"))


def _line(text: str, start: str) -> str:
    """Return the only line that begins so."""
    (line,) = (line for line in text.splitlines() if line.startswith(start))
    return line


@pytest.mark.parametrize("part", BROKEN)
def test_a_broken_module_is_one_line_with_its_package(part: str, listed: subprocess.CompletedProcess[str]) -> None:
    package = f"p-{part}"
    assert BROKEN[part][1] in _line(listed.stderr, f"module {part} of {package} 2.1 cannot be used: ")


def test_names_that_several_packages_want(listed: subprocess.CompletedProcess[str]) -> None:
    assert "several packages" in _line(listed.stderr, "module twice of p-one 1.0 and p-two 3.0 cannot be used: ")
    assert "a built-in module has this name" in _line(listed.stderr, "module contour of p-shadow 1.0 cannot be used: ")
    assert "Traceback" not in listed.stderr
    assert len(listed.stderr.splitlines()) == len(BROKEN) + 2


def test_good_modules_are_listed_with_their_package(listed: subprocess.CompletedProcess[str]) -> None:
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert ["good", "p-good", "1.0", "nowcast", "copy"] in [row[:5] for row in rows]
    assert ["contour", "dynamo"] in [row[:2] for row in rows]


def test_all_parts_as_data_and_a_check(packages: Packages, tmp_path: Path) -> None:
    done = packages.dynamo("plugins", "--json", "--check", cwd=tmp_path, code=5)
    parts = json.loads(done.stdout)
    assert {"part": "module", "group": "dynamo.modules", "name": "good", "origin": "p-good 1.0", "problem": ""} in parts
    broken = {part["name"] for part in parts if part["problem"]}
    assert broken == {*BROKEN, "twice", "contour"}
    modules = json.loads(packages.dynamo("module", "list", "--json", cwd=tmp_path).stdout)
    assert {module["name"] for module in modules if module["problem"]} == broken
    only_good = Packages(tmp_path / "site")
    only_good.install_module("p-good", "1.0", "good")
    assert "p-good 1.0" in only_good.dynamo("plugins", "--check", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("import_error", 5, "module import_error of p-import_error 2.1: cannot be used: ModuleNotFoundError"),
        ("leaves", 5, "module leaves of p-leaves 2.1: cannot be used: SystemExit: 3"),
        ("twice", 5, "module twice of p-one 1.0 and p-two 3.0: cannot be used: several packages"),
        ("god", 3, "did you mean good?"),
    ],
)
def test_a_document_that_needs_it_is_refused_in_one_line(
    name: str, code: int, words: str, packages: Packages, tmp_path: Path
) -> None:
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document(name)))
    done = packages.dynamo("workflow", "validate", str(path), cwd=tmp_path, code=code)
    text = done.stderr if code == 5 else done.stdout
    assert words in text
    assert "Traceback" not in text
    assert len(done.stderr.splitlines()) == (code == 5)


def test_what_needs_no_other_module_imports_none(tmp_path: Path) -> None:
    """A slow package would cost each job its import."""
    packages = Packages(tmp_path / "site")
    packages.install_module("p-slow", "1.0", "slow", "from pathlib import Path\nPath('imported').touch()\n")
    packages.install_module("p-good", "1.0", "good")
    packages.dynamo("simulate", "nowcast", "--size", "40x50", "--leads", "1", "--out", "in", cwd=tmp_path)
    (nowcast,) = (tmp_path / "in").glob("*.nc")
    files = ["--input", f"nowcast=in/{nowcast.name}", "--output", "copy=copy.nc"]
    packages.run("-m", "dynamo.modules.command", "good", *files, cwd=tmp_path)
    assert (tmp_path / "copy.nc").read_bytes() == nowcast.read_bytes()
    path = tmp_path / "document.json"
    path.write_text(json.dumps(document("good")))
    packages.dynamo("workflow", "validate", str(path), cwd=tmp_path)
    packages.dynamo("workflow", "validate", "nowcast", cwd=tmp_path)
    assert not (tmp_path / "imported").exists()
    packages.run("-m", "dynamo.modules.command", "slow", cwd=tmp_path, code=5)
    assert (tmp_path / "imported").exists()


def test_a_job_of_a_shadowed_module_runs_the_built_in_one(packages: Packages, tmp_path: Path) -> None:
    script = "from dynamo.modules.registry import find_module as f; print(f('contour').run.__module__)"
    assert packages.run("-c", script, cwd=tmp_path).stdout.strip() == "dynamo.modules.contour"


CONFIG = """
[[feeds]]
name = "nowcasts"
path = "in"
settle_s = 0.0
[[triggers]]
name = "copies"
feed = "nowcasts"
workflow = "copying.json"
[[triggers]]
name = "splits"
feed = "nowcasts"
workflow = "nowcast"
parameters = { levels = [45] }
"""


def test_watch_goes_on_without_a_broken_module_and_runs_that_need_it_fail(tmp_path: Path) -> None:
    packages = Packages(tmp_path / "site")
    packages.install_module("p-copy", "1.0", "copier")
    packages.install_module("p-shadow", "1.0", "contour")
    (tmp_path / "copying.json").write_text(json.dumps(document("copier")))
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    packages.dynamo("simulate", "nowcast", "--size", "40x50", "--leads", "1", "--out", "in", cwd=tmp_path)
    packages.dynamo("watch", "--check", cwd=tmp_path)
    held = subprocess.Popen(
        [sys.executable, "-m", "dynamo", "watch", "--hold"],
        cwd=tmp_path,
        env=packages.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until(lambda: len(_runs(packages, tmp_path)) == 2)
    finally:
        held.send_signal(signal.SIGTERM)
        _, log = held.communicate(timeout=60)
    assert held.returncode == 0
    assert log.count("module contour of p-shadow 1.0 cannot be used: a built-in module has this name") == 1

    # An upgrade breaks the package: the daemon starts, says so, and does what it can.
    packages.install_module("p-copy", "1.0", "copier", "import a_library_that_nobody_has")
    why = "module copier of p-copy 1.0: cannot be used: ModuleNotFoundError: No module named 'a_library_that_"
    done = packages.dynamo("watch", "--once", cwd=tmp_path, code=6)
    assert done.stderr.count(f"trigger copies starts nothing: {why}") == 1
    runs = {run["trigger"]: run for run in _runs(packages, tmp_path)}
    assert runs["splits"]["state"] == "succeeded"
    assert runs["copies"]["state"] == "failed"
    assert why in runs["copies"]["reason"]
    assert "Traceback" not in done.stderr
    assert why in packages.dynamo("watch", "--check", cwd=tmp_path, code=5).stderr
    (nowcast,) = (tmp_path / "in").glob("*.nc")
    asked = ["submit", "copying.json", "--input", f"nowcast={nowcast}", "--wait"]
    assert why in packages.dynamo(*asked, cwd=tmp_path, code=5).stderr


def _runs(packages: Packages, folder: Path) -> list[dict[str, str]]:
    done = packages.dynamo("runs", "list", "--json", cwd=folder, code=None)
    found: list[dict[str, str]] = json.loads(done.stdout) if done.returncode == 0 else []
    return found


def _until(condition: object, seconds: float = 120.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.2)
