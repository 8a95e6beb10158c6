"""Token routes, and the API's health."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Response

import dynamo
from dynamo.api import tokens
from dynamo.api.access.roles import ADMIN, Identity
from dynamo.api.auth import Anybody, Reader
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures
from dynamo.api.fleet.views import check_store
from dynamo.api.models import Health, NewToken, TokenOrder, Tokens
from dynamo.api.problems import Refusal, answer
from dynamo.api.service import Served
from dynamo.times import utc_now

log = logging.getLogger(__name__)
router = APIRouter(prefix="/v1/tokens", tags=["tokens"])
health_router = APIRouter(tags=["health"])


@router.get("", summary="Tokens", responses={200: {"model": Tokens}, **failures()})
def list_tokens(service: Served, caller: Reader) -> Response:
    """List one's own tokens, or all for an admin: names and last use, not the tokens. Scope `read`."""
    with service.store.reading() as session:
        found = tokens.list_tokens(session, _whose(caller))
    return answer({"tokens": [token.to_json() for token in found]})


@router.post(
    "",
    summary="Create a token",
    status_code=201,
    responses={201: {"model": NewToken}, **failures(400, 404, 409, 422)},
    openapi_extra=body_of(TokenOrder),
)
def create(service: Served, caller: Reader, body: Body) -> Response:
    """Create a token of one's own; only this response contains it. Admins may for others. Scope `read`."""
    order = read_order(TokenOrder, body)
    user = order.user if order.user is not None else (caller.user if not caller.may(ADMIN) else "")
    if (mine := _whose(caller)) is not None:
        if user != mine:
            raise Refusal(403, "tokens of others are for admins to make", where="user", expected=mine)
        # Whoever finds a token must not make another one of it, which would outlive it.
        if caller.how.startswith("token "):
            raise Refusal(403, "a token makes no tokens", expected="a session: log in")
    expires_at = None if order.days is None else utc_now() + timedelta(days=order.days)
    with service.store.transaction() as session:
        made = tokens.create_token(session, order.name, order.scopes, expires_at, user=user)
    log.info("token created", extra={"token": order.name, "caller": caller.name})
    return answer({"name": order.name, "token": made}, 201)


@router.delete("/{name}", summary="Revoke a token", status_code=204, responses=failures(404))
def revoke(service: Served, caller: Reader, name: Annotated[str, Path(max_length=100)]) -> Response:
    """Revoke a token of one's own, or any for an admin, immediately. Scope `read`."""
    with service.store.transaction() as session:
        tokens.revoke_token(session, name, _whose(caller))
    log.info("token revoked", extra={"token": name, "caller": caller.name})
    return Response(status_code=204)


def _whose(caller: Identity) -> str | None:
    """Return whose tokens somebody may manage; None for everybody's.

    Raises
    ------
    Refusal
        403 if the caller is no user.
    """
    if caller.may(ADMIN):
        return None
    if not caller.user:
        raise Refusal(403, f"{caller.name} is no user, and has no tokens", expected="a user, or the role admin")
    return caller.user


@health_router.get(
    "/healthz",
    summary="Health check",
    responses={200: {"model": Health}, 503: failures()[503]},
)
def healthz(service: Served, _: Anybody) -> Response:
    """Report whether the API and its store are available; needs no token."""
    check_store(service.store)
    return answer({"status": "ok", "version": dynamo.__version__})
