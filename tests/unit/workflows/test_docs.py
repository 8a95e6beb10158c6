from __future__ import annotations

import json
import re
from pathlib import Path

from dynamo.modules.registry import contracts
from dynamo.workflows.docs import markdown, tables
from dynamo.workflows.validate import validate

ROOT = Path(__file__).parents[3] / "docs"
DOCS = ROOT / "howto" / "workflows.md"


def test_the_reference_in_the_tree_is_that_of_the_models() -> None:
    assert (ROOT / "reference" / "workflow_document.md").read_text() == markdown()


def test_every_field_is_documented() -> None:
    for table in tables():
        assert all(info.description for info in table.options.values()), table


def test_the_document_that_the_manual_teaches_is_good() -> None:
    blocks = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert validate(json.loads(block), contracts()) == ()


def test_the_error_that_the_manual_shows_is_the_real_one() -> None:
    text = DOCS.read_text()
    data = json.loads(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    data["jobs"][1]["arguments"] = {"level": [45]}
    assert str(validate(data, contracts())[0]) in text
