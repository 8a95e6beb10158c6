"""A Sphinx extension that writes the pages which are made from code, before the build reads them.

`PAGES` is the list: a page's path and the function that returns its Markdown. To change where a page comes from, change
its line. Pages in the tree (`configuration.md`, `provision_spec.md`, `workflow_document.md`, `dynamo.toml`) are written
too, so `make docs` refreshes them; the others are in `.gitignore`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cli_pages
import python_pages
import root_pages
from sphinx.application import Sphinx

from dynamo.config import docs as config_docs
from dynamo.provision.spec import docs as spec_docs
from dynamo.workflows import docs as workflow_docs

PAGES: dict[str, Callable[[], str]] = {
    "reference/configuration.md": config_docs.markdown,
    "reference/dynamo.toml": config_docs.example,
    "reference/provision_spec.md": spec_docs.markdown,
    "reference/workflow_document.md": workflow_docs.markdown,
    "reference/cli/dynamo.md": cli_pages.dynamo,
    "reference/cli/dynamo-provision.md": cli_pages.dynamo_provision,
    "reference/cli/dynamo-module.md": cli_pages.dynamo_module,
}
#: Folders with nothing but generated pages.
FOLDERS = ("project", "reference/cli", "reference/python")


def pages() -> Iterator[tuple[str, str]]:
    """Give the path, relative to `docs/`, and the text of every generated page."""
    yield from ((path, make()) for path, make in PAGES.items())
    yield from python_pages.pages()
    yield from root_pages.pages()


def write(app: Sphinx) -> None:
    """Write the pages whose text differs, so that Sphinx reads only what changed; remove those of earlier builds."""
    made = dict(pages())
    folder = Path(app.srcdir)
    for old in (old for name in FOLDERS for old in (folder / name).glob("*.md")):
        if str(old.relative_to(folder)) not in made:
            old.unlink()
    for name, text in made.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", write)
    app.connect("source-read", root_pages.link_papers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
