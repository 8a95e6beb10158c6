"""Token routes, and the API's health."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response

import dynamo
from dynamo.api import tokens
from dynamo.api.auth import Admin
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures
from dynamo.api.fleet.views import check_store
from dynamo.api.models import Health, NewToken, TokenOrder, Tokens
from dynamo.api.problems import answer
from dynamo.api.service import Served
from dynamo.times import utc_now

log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/tokens", tags=["tokens"])
health_router = APIRouter(tags=["health"])


@router.get("", summary="All tokens", responses={200: {"model": Tokens}, **failures()})
def list_tokens(service: Served, caller: Admin) -> Response:
    """List the tokens' names and last use, but not the tokens. Scope `admin`."""
    with service.store.reading() as session:
        found = tokens.list_tokens(session)
    return answer({"tokens": [token.to_json() for token in found]})


@router.post(
    "",
    summary="Create a token",
    status_code=201,
    responses={201: {"model": NewToken}, **failures(400, 409, 422)},
    openapi_extra=body_of(TokenOrder),
)
def create(service: Served, caller: Admin, body: Body) -> Response:
    """Create a token; only this response contains it. Scope `admin`."""
    order = read_order(TokenOrder, body)
    expires_at = None if order.days is None else utc_now() + timedelta(days=order.days)
    with service.store.transaction() as session:
        made = tokens.create_token(session, order.name, order.scopes, expires_at)
    log.info("token created", extra={"token": order.name, "caller": caller.name})
    return answer({"name": order.name, "token": made}, 201)


@router.delete("/{name}", summary="Revoke a token", status_code=204, responses=failures(404))
def revoke(service: Served, caller: Admin, name: Annotated[str, Path(max_length=100)]) -> Response:
    """Revoke a token immediately. Scope `admin`."""
    with service.store.transaction() as session:
        tokens.revoke_token(session, name)
    log.info("token revoked", extra={"token": name, "caller": caller.name})
    return Response(status_code=204)


@health_router.get(
    "/healthz",
    summary="Health check",
    responses={200: {"model": Health}, 503: failures()[503]},
)
def healthz(service: Served) -> Response:
    """Report whether the API and its store are available; needs no token."""
    check_store(service.store)
    return answer({"status": "ok", "version": dynamo.__version__})
