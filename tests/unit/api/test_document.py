"""The OpenAPI document: programs are generated from it, so all that it refers to must be in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from dynamo.api.app import make_app
from dynamo.store.engine import open_store


def test_every_reference_leads_to_a_part(tmp_path: Path) -> None:
    document = make_app(open_store(tmp_path / "store.sqlite"), tmp_path).openapi()
    referred = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(document)))
    parts = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert referred
    assert referred - parts == set()
