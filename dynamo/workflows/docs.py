"""The reference of the workflow document, `docs/reference/workflow_document.md`, made from its models."""

from __future__ import annotations

from dynamo.documents import manual
from dynamo.documents.notation import JSON
from dynamo.workflows.document import Document

_HEAD = """\
# The workflow document

A workflow is a JSON or YAML file that says which jobs turn which inputs into which outputs; `docs/howto/workflows.md`
teaches how to write one. `dynamo workflow validate FILE` reports all errors at once, each with its place. `dynamo
workflow schema` prints the form as JSON Schema (draft 2020-12); give it to your editor for completion and checks while
you type. `dynamo workflow docs` prints this page.
"""


def tables() -> list[manual.Table]:
    """Return the tables of all parts of a document."""
    return manual.tables(Document, JSON)


def markdown() -> str:
    """Return the page."""
    return f"{_HEAD}\n{manual.markdown(tables(), JSON)}"
