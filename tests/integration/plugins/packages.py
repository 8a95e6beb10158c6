"""Somebody else's packages, as pip leaves them: modules and a dist-info folder on the path of a new process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

CHECKOUT = Path(__file__).resolve().parents[3]

#: `dynamo-provision` as arguments of Python.
PROVISION = ("-c", "from dynamo.cli.fleet.main import main; main()")
#: A module that copies its input; ``{name}`` is what its contract calls it.
MODULE = """
from dynamo.contract import Call, Module, Port

def _run(call):
    from dynamo.files import write_bytes
    data = call.input("nowcast").read_bytes()
    write_bytes(call.output("copy"), data)
    return {{"bytes": float(len(data))}}

MODULE = Module(
    name="{name}", version="1", description="Copy a nowcast.",
    inputs=(Port("nowcast", "casa-nowcast", "What is copied."),),
    outputs=(Port("copy", "casa-nowcast", "The copy."),),
    parameters=(), run=_run,
)
"""


def document(module: str) -> dict[str, object]:
    """Return a workflow document with one job of a `MODULE`."""
    return {
        "dynamo": 1,
        "name": "copying",
        "version": "1",
        "description": "One job of somebody else's module.",
        "inputs": {"nowcast": {"format": "casa-nowcast", "description": "A nowcast."}},
        "jobs": [
            {
                "id": "copy",
                "module": module,
                "inputs": {"nowcast": "{inputs.nowcast}"},
                "outputs": {"copy": "copy.nc"},
            }
        ],
        "outputs": ["copy.copy"],
    }


@dataclass(frozen=True)
class Packages:
    """A folder of installed packages, and commands that see them."""

    folder: Path

    def install(self, name: str, version: str, source: str, points: Mapping[str, Mapping[str, str]]) -> None:
        """Install a package of one file; ``points`` are its entry points by group."""
        module = name.replace("-", "_")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{module}.py").write_text(dedent(source))
        facts = self.folder / f"{module}-{version}.dist-info"
        facts.mkdir(exist_ok=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        groups = (
            f"[{group}]\n" + "".join(f"{part} = {target}\n" for part, target in parts.items())
            for group, parts in points.items()
        )
        (facts / "entry_points.txt").write_text("\n".join(groups))

    def install_module(self, name: str, version: str, part: str, source: str = "") -> None:
        """Install a package with one DyNamo module, by default a good one."""
        points = {"dynamo.modules": {part: f"{name.replace('-', '_')}:MODULE"}}
        self.install(name, version, source or MODULE.format(name=part), points)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a process that sees the packages."""
        return {**os.environ, "PYTHONPATH": f"{self.folder}{os.pathsep}{CHECKOUT}", "DYNAMO_CONFIG": ""}

    def run(self, *arguments: str, cwd: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run ``python ARGUMENTS`` to its end and expect an exit code."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert code is None or done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def dynamo(self, *arguments: str, cwd: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run ``dynamo ARGUMENTS``."""
        return self.run("-m", "dynamo", *arguments, cwd=cwd, code=code)

    def provision(self, *arguments: str, cwd: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run ``dynamo-provision ARGUMENTS``."""
        return self.run(*PROVISION, *arguments, cwd=cwd, code=code)
