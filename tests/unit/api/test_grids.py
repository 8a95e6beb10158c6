"""The map's reflectivity: one picture of all leads, made once, few at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import orjson
import pytest
from fastapi.testclient import TestClient

from dynamo.api.kept.sheets import SheetKey, Sheets
from dynamo.errors import RetryableError
from dynamo.formats.png import encode_reflectivity
from dynamo.formats.sheet import Cells
from dynamo.store.engine import Store, open_store
from dynamo.store.models import Product
from tests.unit.api.serving import add_product, add_runs, client_of, run_row

STORMS, GONE, OTHER, WITHOUT = (run_row(number)["id"] for number in range(1, 5))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("grids")
    made = open_store(folder / "store.sqlite")
    add_runs(made, *(run_row(number) for number in range(1, 5)))
    for lead in (10, 0, 5):
        field = np.full((8, 10), -10.0, dtype=np.float32)
        field[4, lead // 5] = 50.0
        path = folder / f"PredictedReflectivity_{lead}min.png"
        path.write_bytes(encode_reflectivity(field, smoothing_passes=0, texts={"bounds": "-98,32,-96,34"}))
        add_product(made, STORMS, path, lead_min=lead, sha256=str(lead) * 64)
    add_product(made, GONE, folder / "gone.png", lead_min=0)
    other = folder / "other.png"
    other.write_bytes(b"<script>alert(1)</script>")
    add_product(made, OTHER, other, lead_min=0)
    # Of no lead: an image of hail classes, say.
    add_product(made, WITHOUT, folder / "hca_KFWS.png")
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with client_of(store, tmp_path_factory.mktemp("state")) as made:
        yield made


def test_all_leads_come_in_one_picture(client: TestClient) -> None:
    answer = client.get(f"/v1/map/grids/{STORMS}.png")
    facts = orjson.loads(answer.headers["x-picture"])
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")
    assert facts.pop("colors")[0] == [5.0, "#04e9e7"]
    assert facts == {
        "bounds": [-98.0, 32.0, -96.0, 34.0],
        "leads_min": [0, 5, 10],
        "columns": 2,
        "rows": 2,
        "width": 10,
        "height": 8,
    }
    one = client.get(f"/v1/map/grids/{STORMS}.png?lead=5&table=cividis")
    assert orjson.loads(one.headers["x-picture"])["leads_min"] == [5]


def test_a_picture_is_kept_for_good_and_told_apart_by_its_products(client: TestClient) -> None:
    path = f"/v1/map/grids/{STORMS}.png"
    answers = [client.get(path, params=query) for query in ({}, {"table": "cividis"}, {"lead": "5"})]
    tags = [answer.headers["etag"] for answer in answers]
    assert len(set(tags)) == 3
    assert "immutable" in answers[0].headers["cache-control"]
    again = client.get(path, headers={"If-None-Match": tags[0]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        (f"{GONE}.png", 410),
        (f"{OTHER}.png", 422),
        (f"{WITHOUT}.png", 404),
        ("unknown.png", 404),
        (f"{STORMS}.png?lead=7", 404),
        (f"{STORMS}.png?table=jet", 422),
        (f"{STORMS}.png?lead=-1", 422),
        (f"{STORMS}", 404),
    ],
)
def test_what_there_is_no_picture_of_is_told(client: TestClient, asked: str, status: int) -> None:
    answer = client.get(f"/v1/map/grids/{asked}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def _key(text: str) -> SheetKey:
    return SheetKey.of([Product(lead_min=0, sha256=text * 64)], "nws")


def _cells() -> list[Cells]:
    return [Cells(np.zeros((4, 4), np.uint8), (0.0, 0.0, 1.0, 1.0))]


def test_a_picture_is_made_once() -> None:
    sheets = Sheets()
    made = sheets.sheet(_key("a"), _cells, "nws")

    def broken() -> list[Cells]:
        raise AssertionError("made again")

    assert sheets.sheet(_key("a"), broken, "nws") is made


def test_pictures_that_do_not_fit_push_out_the_oldest() -> None:
    sheets = Sheets(kept_bytes=1)
    first = sheets.sheet(_key("a"), _cells, "nws")
    second = sheets.sheet(_key("b"), _cells, "nws")
    assert sheets.sheet(_key("b"), _cells, "nws") is second
    assert sheets.sheet(_key("a"), _cells, "nws") is not first


def test_two_pictures_are_made_at_a_time_and_the_next_waits_no_longer_than_it_should() -> None:
    sheets, at_work, go_on = Sheets(patience_s=0.05), threading.Barrier(3), threading.Event()

    def slow() -> list[Cells]:
        at_work.wait(60)
        go_on.wait(60)
        return _cells()

    makers = [threading.Thread(target=sheets.sheet, args=(_key(text), slow, "nws")) for text in "ab"]
    for maker in makers:
        maker.start()
    at_work.wait(60)
    try:
        with pytest.raises(RetryableError, match="too many pictures"):
            sheets.sheet(_key("c"), _cells, "nws")
    finally:
        go_on.set()
        for maker in makers:
            maker.join()
    assert sheets.sheet(_key("c"), _cells, "nws").width == 4
