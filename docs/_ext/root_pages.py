"""Papers outside `docs/` as pages of the site, with links adjusted to where the files are from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]

#: The file in the tree and its page, in the order of the menu.
PAPERS = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "RELEASING.md": "project/releasing.md",
    "CHANGELOG.md": "project/changelog.md",
    "mobius_specs/README.md": "project/mobius_specs.md",
    "workflows/README.md": "project/workflow_templates.md",
    "containers/README.md": "project/containers.md",
    "deploy/systemd/README.md": "project/systemd.md",
    "examples/own-module/README.md": "project/own_module.md",
    "tests/openstack/README.md": "project/test_openstack.md",
}
_MENU = """\
# Project

These files live in the repository next to the code.

```{{toctree}}
:maxdepth: 1

{names}
```
"""
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def pages() -> Iterator[tuple[str, str]]:
    """Yield the pages of the existing papers, and their menu."""
    papers = {paper: page for paper, page in PAPERS.items() if (ROOT / paper).is_file()}
    for paper, page in papers.items():
        yield page, _turn_links((ROOT / paper).read_text(), Path(paper).parent)
    names = "\n".join(Path(page).stem for page in papers.values())
    yield "project/index.md", _MENU.format(names=names)


def link_papers(app: Sphinx, docname: str, source: list[str]) -> None:
    """Turn a manual page's links to papers into links to the papers' pages; in the tree they lead to the files."""
    folder = Path(app.srcdir, docname).parent

    def turn(match: re.Match[str]) -> str:
        target = (folder / match[1]).resolve()
        page = PAPERS.get(str(target.relative_to(ROOT))) if target.is_relative_to(ROOT) else None
        return f"](/{page}{match[2] or ''})" if page else match[0]

    source[0] = _LINK.sub(turn, source[0])


def _turn_links(text: str, folder: Path) -> str:
    def turn(match: re.Match[str]) -> str:
        target = (ROOT / folder / match[1]).resolve().relative_to(ROOT)
        anchor = match[2] or ""
        if (paper := PAPERS.get(str(target))) and (ROOT / target).is_file():
            return f"]({Path(paper).name}{anchor})"
        if target.parts[:1] == ("docs",):
            return f"](../{Path(*target.parts[1:])}{anchor})"
        return f"](../../{target}{anchor})"

    return _LINK.sub(turn, text)
