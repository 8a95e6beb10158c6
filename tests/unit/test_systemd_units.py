"""The units in deploy/systemd: systemd accepts them, and the commands they start exist with these options."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynamo.cli import main as dynamo
from dynamo.cli.fleet import main as provision
from tests.needs import SYSTEMD

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
APPLICATIONS = {"dynamo": dynamo.register_all, "dynamo-provision": provision.register_all}


def command_of(unit: Path) -> list[str]:
    (line,) = [line for line in unit.read_text().splitlines() if line.startswith("ExecStart=")]
    return shlex.split(line.partition("=")[2])


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_command_exists_with_its_options(unit: Path) -> None:
    program, *arguments = command_of(unit)
    application = APPLICATIONS[Path(program).name]()
    # Options are parsed before --help is obeyed: an unknown one is an error.
    result = CliRunner().invoke(application, [*arguments, "--help"])
    assert result.exit_code == 0, result.output
    assert CliRunner().invoke(application, [*arguments, "--unknown", "--help"]).exit_code == 2


def complaints(verify: str, unit: Path) -> str:
    return subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True, check=True).stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_accepts_it(unit: Path, tmp_path: Path) -> None:
    if not (verify := shutil.which("systemd-analyze")):
        SYSTEMD.lacking()
    here = tmp_path / unit.name
    here.write_text(unit.read_text().replace(command_of(unit)[0], "/bin/true"))
    # Unknown keys and bad values are warnings, with exit code 0.
    assert complaints(verify, here) == ""
    here.write_text(here.read_text().replace("KillMode=", "KilMode="))
    assert "KilMode" in complaints(verify, here)


def test_both_daemons_have_one() -> None:
    assert [unit.stem for unit in UNITS] == ["dynamo-provision", "dynamo-watch"]
