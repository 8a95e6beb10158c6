"""Whatever is asked of the API, by whoever: its answers are as its OpenAPI document says, and none is a 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dynamo.api.run import orders
from dynamo.config.file import parse_config
from dynamo.runs.ledger import decide
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Arrival
from tests.unit.api.serving import NOON, add_product, add_runs, client_of, run_row
from tests.unit.api.test_needs import OPEN

pytestmark = pytest.mark.slow
#: Callers by the scopes of their tokens.
CALLERS = {
    "viewer": ("read",),
    "researcher": ("submit",),
    "operator": ("write",),
    "admin": ("admin", "ping"),
    "nobody": (),
}
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
#: Ends only with its connection.
ENDLESS = "/v1/stream"
#: Sent with POST since they have a body, but they change nothing; and what ends one's own login.
NO_ORDERS = ("/v1/validate", "/v1/session")
EXAMPLES = 3
ALL_EXAMPLES = 10


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "store.sqlite")
    yield made
    made.close()


def known_names(store: Store, folder: Path) -> dict[str, list[Any]]:
    """Store some of everything; return what there is, by the names of parameters, or by those of a resource."""
    rows = [run_row(number, state=state) for number, state in enumerate(("succeeded", "failed", "running"))]
    for row in rows:
        # As after a disk was lost.
        row["run_dir"] = str(folder / "gone" / row["id"])
    add_runs(store, *rows)
    path = folder / "KFWS-contours.geojson"
    path.write_text("{}")
    product = add_product(store, rows[0]["id"], path)
    with store.transaction() as session:
        decide(session, rows[0]["id"], "start", "why")
        times = dict.fromkeys(("valid_at", "detected_at", "recorded_at"), NOON)
        facts: dict[str, Any] = {"path": str(path), "size": 2, "mtime_ns": 1, "sha256": "a" * 64, "radar": "KFWS"}
        session.add(Arrival(feed="radars", state="quarantined", reason="no sweep", **facts, **times))
    return {
        "runs/name": [row["id"] for row in rows],
        "assets/name": ["radars"],
        "run": [row["id"] for row in rows],
        "number": [product, 1],
        "product": [product],
        "arrival": [1],
        "log": ["logs/one.out"],
    }


@pytest.mark.parametrize("caller", CALLERS)
def test_all_answers_are_as_documented(
    store: Store, tmp_path: Path, caller: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What works on a run is another process.
    monkeypatch.setattr(orders, "detach", lambda *_: None)
    known = known_names(store, tmp_path)
    config = parse_config({"feeds": [{"name": "radars", "path": "incoming"}]}, base=tmp_path)
    with client_of(store, tmp_path, config, *CALLERS[caller]) as client:
        if not CALLERS[caller]:
            del client.headers["Authorization"]
        schema = schemathesis.openapi.from_dict(client.app.openapi())  # type: ignore[attr-defined]
        failures: list[str] = []
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path != ENDLESS:
                failures += _failures(operation, client, known, caller)
    assert "\n\n".join(failures) == ""


def _failures(operation: Any, client: TestClient, known: dict[str, list[Any]], caller: str) -> list[str]:
    failures: list[str] = []
    count = ALL_EXAMPLES if caller == "admin" else EXAMPLES

    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data(), case=operation.as_strategy())
    def ask(data: st.DataObject, case: Any) -> None:
        for places in (case.path_parameters, case.query):
            for name in list(places or ()):
                there = known.get(f"{operation.path.removeprefix('/v1/').partition('/')[0]}/{name}", known.get(name))
                if there and data.draw(st.integers(0, 3)):
                    places[name] = data.draw(st.sampled_from(there))
                elif isinstance(places[name], str) and data.draw(st.integers(0, 3)):
                    # What the gate lets through.
                    places[name] = "".join(letter for letter in places[name] if letter.isprintable()) or "x"
        request = case.as_transport_kwargs(base_url="http://testserver")
        request.pop("cookies", None)
        # The client has its token; the document's scheme has made up another.
        request["headers"].pop("authorization", None)
        if isinstance(request.get("data"), bytes | str):
            request["content"] = request.pop("data")
        response = client.request(**request)
        open_to_all = (operation.method.upper(), operation.path) in OPEN
        if caller == "nobody" and not open_to_all:
            assert response.status_code in (400, 401), f"{operation.label}: {response.status_code} for nobody"
        looks = operation.method.upper() in ("GET", "HEAD") or operation.path in NO_ORDERS
        if caller == "viewer" and not (looks or open_to_all):
            assert response.status_code >= 400, f"{operation.label}: {response.status_code} for a viewer"
        assert response.status_code != 500, f"{operation.label}: {response.text}"
        case.validate_response(response, checks=CHECKS)

    try:
        ask()
    except (Exception, BaseExceptionGroup) as error:
        failures.append(f"{operation.label}: {error}")
    return failures
