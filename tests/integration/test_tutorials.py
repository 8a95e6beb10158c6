"""The tutorials as a reader follows them: files are saved, commands run in order, and the output shown is the real one.

In a tutorial a `json` or `toml` block is saved under the last file name that the text before it says to save; an `sh`
block is run; a `text` block is what the commands before it print, with `...` for what differs from run to run.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVE = re.compile(r"[Ss]ave (?:this|it) as `([\w.]+)`")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "index"], ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_works_as_printed(page: Path, tmp_path: Path) -> None:
    text = page.read_text()
    printed, ran, end = "", 0, 0
    for block in _BLOCK.finditer(text):
        kind, body = block.groups()
        if kind == "sh":
            printed = _run(body, tmp_path)
            ran += 1
        elif kind == "text":
            assert _same(body, printed), f"the page shows\n{body}\nbut the commands print\n{printed}"
        else:
            names = _SAVE.findall(text[end : block.start()])
            assert names, f"where is this {kind} block saved?\n{body}"
            (tmp_path / names[-1]).write_text(body)
        end = block.end()
    assert ran >= 5


def _run(commands: str, folder: Path) -> str:
    """Run the lines of a block as a shell does, ending at the first that fails; return what they print."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DYNAMO_", "CONDOR_"))}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "COLUMNS": "200",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def _same(shown: str, printed: str) -> bool:
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return doctest.OutputChecker().check_output(shown, printed, options)
