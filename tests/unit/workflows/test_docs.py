from __future__ import annotations

import json
import re
from pathlib import Path

from dynamo.modules.registry import contracts
from dynamo.workflows.validate import validate

DOCS = Path(__file__).parents[3] / "docs" / "howto" / "workflows.md"


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
