"""Routes of runs and products that only look."""

from __future__ import annotations

from codecs import getincrementaldecoder
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy import exists, select

from dynamo.api.auth import Reader
from dynamo.api.documented import failures
from dynamo.api.paging import After, Limit, Since, Until, read_page, time_in
from dynamo.api.problems import Refusal
from dynamo.api.run import views
from dynamo.api.run.models import ProductItem, Products, RunDetail, Runs
from dynamo.api.service import Served
from dynamo.api.showing import knows, shared, show, shown
from dynamo.archive.listing import ProductFilter
from dynamo.engines.logs import log_files
from dynamo.engines.output import clean
from dynamo.errors import InputError, NotFoundError
from dynamo.places.opening import is_remote
from dynamo.runs import ledger
from dynamo.runs.states import TRANSITIONS
from dynamo.store.models import Product, Run

router = APIRouter(prefix="/v1", tags=["runs"])
Name = Annotated[str, Path(max_length=64, description="ID of the run, or a unique prefix of it.")]
ProductId = Annotated[int, Path(ge=1, le=2**62)]
#: Most bytes of a log in one answer.
_MOST_BYTES = 1 << 18
#: What a browser shows itself and cannot run; all else is downloaded.
_KINDS = {".png": "image/png", ".geojson": "application/geo+json", ".json": "application/json", ".txt": "text/plain"}
_OTHER_KIND = "application/octet-stream"


@router.get("/runs", summary="Runs", responses=shown(Runs))
@shared
def list_runs(
    request: Request,
    service: Served,
    caller: Reader,
    workflow: Annotated[str | None, Query(max_length=200)] = None,
    trigger: Annotated[str | None, Query(max_length=200)] = None,
    state: Annotated[list[str], Query(description="Only in this state; may be repeated.")] = [],  # noqa: B006 - FastAPI copies it
    radar: Annotated[str | None, Query(max_length=100)] = None,
    owner: Annotated[str | None, Query(max_length=130, description="Who ordered them.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List runs, the newest first. Scope `read`."""
    unknown = [name for name in state if name not in TRANSITIONS]
    if unknown:
        raise InputError(f"unknown state {unknown[0]!r:.40}", where="state", expected=", ".join(TRANSITIONS))
    query = views.runs_matching(
        workflow=workflow,
        trigger=trigger,
        radar=radar,
        since=time_in("since", since),
        until=time_in("until", until),
        owner=owner,
    )
    with service.store.reading() as session:
        rows, following = views.runs_page(session, query, state, after, limit)
        return show(request, Runs(items=views.run_items(session, rows), next=following))


@router.get("/runs/{name}", summary="One run", responses=shown(RunDetail, 404))
def show_run(request: Request, service: Served, caller: Reader, name: Name) -> Response:
    """Show a run: jobs, inputs, products, logs, decisions, checks, cost. Scope `read`."""
    with service.store.reading() as session:
        return show(request, views.run_detail(session, name))


@router.get(
    "/runs/{name}/logs/{log:path}",
    summary="Log of a run",
    responses={
        200: {"description": "The text from `offset` on.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **failures(404),
    },
)
def show_log(
    service: Served,
    caller: Reader,
    name: Name,
    log: Annotated[str, Path(max_length=300, description="Name of the log, as the run lists it.")],
    offset: Annotated[int, Query(ge=-(2**62), le=2**62, description="In bytes; from the end if negative.")] = 0,
) -> Response:
    """Read a log from an offset; continue at that of the header `X-Next-Offset`. Scope `read`."""
    with service.store.reading() as session:
        root = FilePath(ledger.find_run(session, name).run_dir)
    path = next((path for path in log_files(root) if path.relative_to(root).as_posix() == log), None)
    if path is None:
        raise NotFoundError(f"no log {log!r:.100}", where=name, hint="the run lists its logs")
    size = path.stat().st_size
    # A log that is shorter than before was begun anew by another attempt.
    start = max(0, size + offset) if offset < 0 else offset if offset <= size else 0
    with path.open("rb") as stream:
        stream.seek(start)
        data = stream.read(_MOST_BYTES)
    # The last character may be there only in part; the next answer has it.
    decoder = getincrementaldecoder("utf-8")("replace")
    text = clean(decoder.decode(data))
    following = start + len(data) - len(decoder.getstate()[0])
    return Response(text, media_type="text/plain", headers={"X-Next-Offset": str(following)})


@router.get("/products", summary="Products", responses=shown(Products))
def list_products(
    request: Request,
    service: Served,
    caller: Reader,
    workflow: Annotated[str | None, Query(max_length=200)] = None,
    kind: Annotated[str | None, Query(max_length=200, description="Output of the document, as JOB.PORT.")] = None,
    radar: Annotated[str | None, Query(max_length=100)] = None,
    since: Since = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List published files, the newest first. Scope `read`."""
    query = select(Product)
    which = ProductFilter(time_in("since", since), workflow, radar=radar)
    if which != ProductFilter():
        # Not a join: products are to be walked from the newest on, until the page is full.
        query = query.where(exists().where(Run.id == Product.run_id, *which.conditions()))
    if kind is not None:
        query = query.where(Product.output == kind)
    with service.store.reading() as session:
        rows, following = read_page(session, query, (Product.id,), after, limit)
        runs = {run.id: run for run in session.scalars(select(Run).where(Run.id.in_({row.run_id for row in rows})))}
        items = [views.product_item(row, runs[row.run_id]) for row in rows]
    return show(request, Products(items=items, next=following))


@router.get("/products/{number}", summary="One product", responses=shown(ProductItem, 404))
def show_product(request: Request, service: Served, caller: Reader, number: ProductId) -> Response:
    """Show a published file. Scope `read`."""
    return show(request, _product(service, number))


@router.get(
    "/products/{number}/file",
    summary="A product's file",
    responses={
        200: {"description": "The file.", "content": {kind: {} for kind in (*_KINDS.values(), _OTHER_KIND)}},
        206: {"description": "The part asked for by `Range`."},
        304: {"description": "As the client has it."},
        **failures(404, 410),
    },
)
def show_file(request: Request, service: Served, caller: Reader, number: ProductId) -> Response:
    """Send a published file; its ETag is its checksum. Scope `read`."""
    product = _product(service, number)
    tag = f'"{product.sha256}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    if knows(request, tag):
        return Response(status_code=304, headers=headers)
    if is_remote(product.path):
        raise Refusal(410, "the file is at another place", where=product.path, hint="read it there")
    path = FilePath(product.path)
    if not path.is_file():
        raise Refusal(410, "the file is gone", where=product.path, hint=f"dynamo runs retry {product.run}")
    kind = _KINDS.get(path.suffix)
    return FileResponse(
        path,
        headers=headers,
        media_type=kind or _OTHER_KIND,
        filename=path.name,
        content_disposition_type="inline" if kind else "attachment",
    )


def _product(service: Served, number: int) -> ProductItem:
    with service.store.reading() as session:
        found = session.get(Product, number)
        if found is None:
            raise NotFoundError(f"no product {number}", hint="a run that is retried publishes new ones")
        return views.product_item(found, session.get_one(Run, found.run_id))
