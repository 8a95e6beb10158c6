"""Routes of logins at the provider: a browser goes there, and comes back with a code."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field

from dynamo.api.access.users import list_users
from dynamo.api.auth import Anybody
from dynamo.api.documented import failures
from dynamo.api.oidc.door import OpenIdDoor
from dynamo.api.oidc.errors import LoginRefusedError, ProviderDownError
from dynamo.api.oidc.paths import HOME, local_path
from dynamo.api.people.session_routes import set_cookie
from dynamo.api.problems import answer
from dynamo.api.service import Served
from dynamo.errors import NotFoundError, RetryableError

BEGIN = "/v1/login/oidc"
#: Time for a login at the provider, in seconds.
_LOGIN_S = 600
_SEE_OTHER = 303
router = APIRouter(prefix="/v1/login", tags=["users"])


class ProviderShown(BaseModel):
    """A provider that people may log in at."""

    name: str
    path: Annotated[str, Field(description="Where a browser goes; `?next=` names the page to see afterwards.")]


class LoginWays(BaseModel):
    """How people can log in here; tokens always work."""

    passwords: Annotated[bool, Field(description="Whether anybody has a password.")]
    oidc: ProviderShown | None


@router.get("", summary="How to log in", responses={200: {"model": LoginWays}, **failures()})
def show_ways(request: Request, service: Served, _: Anybody) -> Response:
    """Show which ways to log in there are; open to all."""
    door: OpenIdDoor | None = request.app.state.openid
    with service.store.reading() as session:
        passwords = any(user.has_password and not user.disabled for user in list_users(session))
    oidc = None if door is None else ProviderShown(name=door.name, path=BEGIN)
    return answer(LoginWays(passwords=passwords, oidc=oidc).model_dump())


@router.get(
    "/oidc",
    summary="Log in at the provider",
    status_code=_SEE_OTHER,
    responses={303: {"description": "To the provider."}, **failures(404)},
)
def begin(
    request: Request,
    _: Anybody,
    then: Annotated[str, Query(alias="next", max_length=4000, description="The page to see afterwards.")] = HOME,
) -> Response:
    """Send a browser to the provider; it comes back to `/v1/login/oidc/callback`."""
    door = _door(request)
    try:
        begun = door.begin(request, then)
    except RetryableError as error:
        return _told(request, error, local_path(then))
    response = RedirectResponse(begun.address, _SEE_OTHER)
    response.set_cookie(
        begun.cookie, begun.value, max_age=_LOGIN_S, path="/", secure=door.secure, httponly=True, samesite="lax"
    )
    return response


@router.get(
    "/oidc/callback",
    summary="Come back from the provider",
    status_code=_SEE_OTHER,
    responses={303: {"description": "To the page that was asked for."}, **failures(404)},
)
def end(request: Request, service: Served, _: Anybody) -> Response:
    """End a login: the session's cookie is set, and the browser goes to the page that it wanted to see."""
    door = _door(request)
    try:
        ended, value = door.end(request, service)
    except (LoginRefusedError, RetryableError) as error:
        return _told(request, error, getattr(error, "then", HOME))
    response = RedirectResponse(ended.next, _SEE_OTHER)
    set_cookie(response, value, service.settings)
    response.delete_cookie(ended.cookie, path="/", secure=door.secure, httponly=True, samesite="lax")
    return response


def _door(request: Request) -> OpenIdDoor:
    door: OpenIdDoor | None = request.app.state.openid
    if door is None:
        raise NotFoundError("no OpenID Connect provider", hint="[serve.oidc] in dynamo.toml names one")
    return door


def _told(request: Request, error: LoginRefusedError | RetryableError, then: str) -> Response:
    """Tell a person why on the login page, and a program in its own words."""
    if "text/html" not in request.headers.get("accept", ""):
        raise error
    why = error.why if isinstance(error, LoginRefusedError | ProviderDownError) else ProviderDownError.why
    return RedirectResponse("/login?" + urlencode({"why": why, "next": then}), _SEE_OTHER)
