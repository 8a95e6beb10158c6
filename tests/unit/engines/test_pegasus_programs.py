"""How Pegasus's programs are started, what is read from their output, and which options and paths are refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dynamo.documents.problems import MistakesError
from dynamo.engines.pegasus import clean_environment, reason_in
from dynamo.engines.registry import create_engine
from dynamo.errors import InputError
from dynamo.workflows.pegasus.settings import PegasusSettings, check_paths

FATAL = """\
2026.11.27 19:00:00.000 UTC:  Starting to plan
2026.11.27 19:00:00.614 UTC: [FATAL ERROR]
 [1] java.lang.RuntimeException: Unable to load the site catalog at edu.isi.Factory.load(Factory.java:112)
 [2] edu.isi.pegasus.SiteCatalogException: no site named moon at edu.isi.pegasus.Sites.get(Sites.java:7)
"""


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (FATAL, "Unable to load the site catalog: no site named moon"),
        ("2026.11.27 19:00:00.614 UTC: [FATAL ERROR] no workflow given\n", "no workflow given"),
        ("[FATAL ERROR]\n\n  something else\n", "something else"),
        ("fine\n2026-11-27 ERROR: no site can run it\nfine\n", "2026-11-27 ERROR: no site can run it"),
        ("Traceback\nModuleNotFoundError: No module named 'git'\n", "ModuleNotFoundError: No module named 'git'"),
        ("", ""),
    ],
)
def test_reason_is_in_what_follows_the_mark(output: str, reason: str) -> None:
    assert reason_in(output) == reason


def test_programs_do_not_get_our_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/venv")
    monkeypatch.setattr(sys, "executable", "/venv/bin/python")
    told = {"PATH": "/venv/bin:/pegasus/bin:/usr/bin", "PYTHONPATH": "/ours", "VIRTUAL_ENV": "/venv", "HOME": "/home/x"}
    # Last, not left out: it may be the only Python, and Pegasus itself may be there.
    assert clean_environment(told) == {"PATH": "/pegasus/bin:/usr/bin:/venv/bin", "HOME": "/home/x"}
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert clean_environment({"PATH": "/venv/bin:/usr/bin"}) == {"PATH": "/venv/bin:/usr/bin"}


def test_an_empty_image_is_no_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "dynamo-module"
    program.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert PegasusSettings(image="").executable == str(program)
    assert PegasusSettings(image="", executable="dynamo-module").executable == str(program)
    assert PegasusSettings().executable == "/usr/local/bin/dynamo-module"
    for image, executable in (("docker:///x", "dynamo-module"), ("", "bin/dynamo-module"), ("", "no-such-program")):
        with pytest.raises(InputError, match="not absolute"):
            PegasusSettings(image=image, executable=executable)
    with pytest.raises(InputError, match="container type"):
        PegasusSettings(container_type="lxc")


@pytest.mark.parametrize("name", ["a run", "r\u00e9sultats", "tab\there"])
def test_paths_that_the_planner_cannot_take_are_refused(name: str) -> None:
    check_paths([Path("/data/MERGE_201906100000.nc")])
    with pytest.raises(InputError, match=r"cannot take this path \(and 1 more\)") as refused:
        check_paths([Path("/data") / name, Path("/fine"), Path("/data") / name / "x.nc"])
    assert repr(str(Path("/data") / name)) in str(refused.value)


@pytest.mark.parametrize("engine", ["local", "condor", "pegasus"])
def test_unknown_options_of_an_engine_are_named(engine: str) -> None:
    with pytest.raises(
        MistakesError, match=rf"^engines\.{engine}\.options\.bogus: unknown option, expected one of \w+"
    ):
        create_engine(engine, bogus=1)
