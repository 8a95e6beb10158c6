"""`dynamo simulate radar`, `composites` and `sounding`: files in the named format, and what is wrong in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dynamo.cli.simulate import simulate
from dynamo.errors import UsageError
from dynamo.formats.composites import reader_of
from dynamo.formats.radar import read_volume
from dynamo.formats.sounding import read_sounding

AT = "2019-06-10T00:20"


def command(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, arguments)


def paths_of(result: Result) -> list[Path]:
    assert result.exit_code == 0, result.output
    return [Path(path) for path in json.loads(result.stdout)]


def test_radar_in_a_format(tmp_path: Path) -> None:
    network = ("--radars", "1", "--sweeps-per-minute", "2", "--regime", "clear", "--start", AT, "--speed", "0")
    paths = paths_of(command("radar", "--format", "cfradial", "--volumes", *network, "-o", str(tmp_path), "--json"))
    assert [read_volume(path).site.radar for path in paths] == ["addison.tx"]
    assert [len(read_volume(path).sweeps) for path in paths] == [2]
    assert (tmp_path / "truth.geojson").is_file()


def test_composites(tmp_path: Path) -> None:
    arguments = ("--format", "mrms", "--count", "2", "--start", AT, "-o", str(tmp_path), "--json")
    paths = paths_of(command("composites", *arguments))
    assert [path.name[-12:] for path in paths] == ["002000.grib2", "002200.grib2"]
    assert reader_of(paths[0]).name == "mrms"


def test_a_sounding(tmp_path: Path) -> None:
    path = tmp_path / "sounding.txt"
    result = command(
        "sounding", "--zero-c-height", "3800", "--minus-20-c-height", "6500", "--time", AT, "-o", str(path)
    )
    assert result.exit_code == 0, result.output
    assert read_sounding(path).height_of(0.0) == pytest.approx(3800, abs=2)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("radar", "--format", "sigmet"), "unknown radar format 'sigmet'; expected casa, nexrad"),
        (("radar", "--volumes"), "casa files hold one sweep each"),
        (("composites", "--format", "radolan"), "unknown composite 'radolan'; expected mrms"),
        (("composites", "--regime", "snow"), "unknown regime 'snow'"),
        (("sounding", "--layout", "bufr"), "unknown layout 'bufr'; expected page, table, bare"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple[str, ...], says: str) -> None:
    result = command(*arguments)
    assert isinstance(result.exception, UsageError)
    assert says in str(result.exception)
