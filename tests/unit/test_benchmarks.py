"""The command of the benchmarks: what one failure costs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from benchmarks import __main__ as command
from benchmarks import htcondor
from dynamo.errors import MissingPartError


def suite(name: str, monkeypatch: pytest.MonkeyPatch, table: dict[str, Any] | None) -> None:
    def run(_data: Path | None) -> list[dict[str, Any]]:
        if table is None:
            raise RuntimeError("broken")
        return [table]

    monkeypatch.setitem(sys.modules, f"benchmarks.{name}", SimpleNamespace(run=run))


def test_one_that_fails_leaves_the_tables_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    suite("products", monkeypatch, None)
    suite("readers", monkeypatch, {"title": "good"})
    results = tmp_path / "results.json"
    with pytest.raises(SystemExit, match="1 of 2 failed: --only products"):
        command.main(["--only", "products", "readers", "--json", str(results)])
    assert "RuntimeError: broken" in capsys.readouterr().err
    assert "good" in str(orjson.loads(results.read_bytes()))


def test_without_htcondor_the_rest_is_measured_and_the_lack_is_told_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)

    def install(_prefix: Path | None, _report: object) -> object:
        raise MissingPartError("HTCondor cannot be installed here")

    monkeypatch.setattr(htcondor, "install", install)
    suite("readers", monkeypatch, {"title": "good"})
    with pytest.raises(SystemExit, match="1 of 2 failed: --only engines"):
        command.main(["--only", "readers", "engines"])
    assert "not measured without HTCondor: engines" in capsys.readouterr().out
