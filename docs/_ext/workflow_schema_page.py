"""The page of the workflow document's JSON Schema."""

from __future__ import annotations

import json

from dynamo.workflows.schema import document_schema

_HEAD = """\
# Workflow document: JSON Schema

[Write a workflow](../howto/workflows.md) explains the language. This is its form as JSON Schema (draft 2020-12), as
`dynamo workflow schema` prints it; give it to your editor for completion and checks while you type. `dynamo workflow
validate` also checks what a schema cannot: names of modules, ports, parameters, and files.
"""


def markdown() -> str:
    """Return the page."""
    return f"{_HEAD}\n```json\n{json.dumps(document_schema(), indent=2)}\n```\n"
