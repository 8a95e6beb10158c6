"""Route of the map's reflectivity: all leads of a nowcast in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Query, Request, Response

from dynamo.api.auth import Reader
from dynamo.api.documented import failures
from dynamo.api.kept.sheets import SheetKey
from dynamo.api.problems import Refusal
from dynamo.api.service import Served
from dynamo.api.showing import knows
from dynamo.errors import NotFoundError
from dynamo.formats.sheet import Cells, Table, legend, read_cells
from dynamo.places.opening import open_place
from dynamo.runs.ledger import find_run, products_of
from dynamo.store.models import Product, Run

router = APIRouter(prefix="/v1/map", tags=["map"])
#: Products do not change, and a run that is made again makes the same ones.
_FOREVER = "private, max-age=31536000, immutable"
_MOST_LEADS = 256


@router.get(
    "/grids/{run}.png",
    summary="Reflectivity of a nowcast",
    response_class=Response,
    responses={
        200: {
            "description": "Tiles in reading order, one for each lead. `X-Picture` says where they are, as JSON: "
            "`bounds` (west, south, east, north, degrees), `leads_min`, `columns`, `rows`, `width`, `height`, and "
            "`colors`, each with the dBZ that it begins at.",
            "content": {"image/png": {}},
            "headers": {"X-Picture": {"description": "See above.", "schema": {"type": "string"}}},
        },
        304: {"description": "As the client has it."},
        **failures(404, 410),
    },
)
def picture(
    request: Request,
    service: Served,
    caller: Reader,
    run: Annotated[str, Path(max_length=64, description="Its run.")],
    lead: Annotated[int | None, Query(ge=0, le=10_000, description="Only this lead, in minutes.")] = None,
    table: Annotated[
        Table, Query(description="Colors: of the US National Weather Service, or the same to any color vision.")
    ] = "nws",
) -> Response:
    """Send the reflectivity of all leads as one picture in Web Mercator. Scope `read`."""
    with service.store.reading() as session:
        found = find_run(session, run)
        products = [
            product
            for product in products_of(session, found.id)
            if product.lfn.endswith(".png") and product.lead_min is not None and lead in (None, product.lead_min)
        ]
    products = sorted(products, key=lambda product: product.lead_min or 0)[:_MOST_LEADS]
    if not products:
        raise NotFoundError("no image of reflectivity among its products", where=found.id)
    key = SheetKey.of(products, table)
    headers = {"ETag": f'"{key.text}"', "Cache-Control": _FOREVER}
    if knows(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    made = service.sheets.sheet(key, lambda: _read(found, products), table)
    facts = {
        "bounds": [round(edge, 6) for edge in made.bounds],
        "leads_min": [product.lead_min for product in products],
        "columns": made.columns,
        "rows": made.rows,
        "width": made.width,
        "height": made.height,
        "colors": legend(table),
    }
    return Response(made.png, headers={**headers, "X-Picture": orjson.dumps(facts).decode()}, media_type="image/png")


def _read(run: Run, products: Sequence[Product]) -> list[Cells]:
    place = open_place(run.product_dir or "")
    read = []
    for product in products:
        try:
            content = place.read(product.lfn)
        except OSError as error:
            hint = f"dynamo runs retry {run.id}"
            raise Refusal(410, "the file is gone", where=product.path, hint=hint) from error
        read.append(read_cells(content, product.path))
    return read
