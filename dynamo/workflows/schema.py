"""JSON Schema (draft 2020-12) of the workflow document, for editors and other programs."""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from dynamo.workflows.document import Document

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TITLE = "DyNamo workflow document"


def document_schema() -> dict[str, Any]:
    """Return the schema, which checks form only; `dynamo.workflows.validate` also checks names and values."""
    schema = Document.model_json_schema(by_alias=True, schema_generator=GenerateJsonSchema, mode="validation")
    return {"$schema": DIALECT, **schema, "title": TITLE}
