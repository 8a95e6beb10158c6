"""The papers at the top of the tree agree with the code, and lead to files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import dynamo

ROOT = Path(__file__).resolve().parents[2]
PAPERS = sorted({*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("*/README.md")})
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def test_the_citation_names_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == dynamo.__version__


def test_the_changelog_has_an_entry_for_this_version() -> None:
    assert f"## {dynamo.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.name)
def test_links_lead_to_files_of_the_tree(paper: Path) -> None:
    missing = [link for link in _LINK.findall(paper.read_text()) if not (paper.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize(
    "name", ["CONTRIBUTING.md", "RELEASING.md", ".github/workflows/ci.yml", ".pre-commit-config.yaml"]
)
def test_every_make_target_that_a_paper_names_exists(name: str) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    named = set(re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)", (ROOT / name).read_text()))
    assert named <= targets


@pytest.mark.parametrize("page", ["faults", "provision_faults"])
def test_each_fault_names_a_test_that_exists(page: str) -> None:
    rows = re.findall(r"^\| .*\|$", (ROOT / "docs" / "explanation" / f"{page}.md").read_text(), re.MULTILINE)
    rows = [row for row in rows if not row.startswith(("| fault |", "|---"))]
    assert len(rows) > 20
    missing = []
    for row in rows:
        named = re.findall(r"`((?:tests/[\w/]+|test_\w+)\.py)(?:::(\w+))?`", row.rsplit("|", 2)[1])
        files = {file: [ROOT / file] if "/" in file else [*(ROOT / "tests").rglob(file)] for file, _ in named}
        texts = {file: "".join(path.read_text() for path in paths if path.exists()) for file, paths in files.items()}
        missing += [
            (file, test) for file, test in named if not texts[file] or (test and f"def {test}(" not in texts[file])
        ]
        missing += [] if named else [(row, "no test")]
    assert missing == []
