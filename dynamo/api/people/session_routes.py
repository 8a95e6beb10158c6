"""Routes of logins: begin and end a session, who am I, and change my password."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask

from dynamo.api.access.budgets import Allowance, allowance_of
from dynamo.api.access.roles import ADMIN, OPERATOR, RESEARCHER, VIEWER, Identity
from dynamo.api.access.sessions import cookie_name, end_session, find_session
from dynamo.api.access.users import find_user, set_password
from dynamo.api.auth import Anybody, Doorkeeper, Reader
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures
from dynamo.api.people.models import BudgetShown, LoginOrder, May, PasswordOrder, SessionShown
from dynamo.api.problems import Refusal, answer
from dynamo.api.service import Served, Service
from dynamo.api.settings import ApiSettings
from dynamo.errors import UsageError
from dynamo.times import to_iso, utc_now

router = APIRouter(prefix="/v1/session", tags=["users"])


@router.get("", summary="Who am I", responses={200: {"model": SessionShown}, **failures()})
def show_session(request: Request, service: Served, _: Anybody) -> Response:
    """Show who asks and what this caller may do; asked by nobody known, it says so."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    caller, ends_at = keeper.session_of(request)
    return answer(session_shown(service, caller, ends_at).model_dump())


@router.post(
    "",
    summary="Log in",
    responses={200: {"model": SessionShown}, **failures(400)},
    openapi_extra=body_of(LoginOrder),
)
def log_in(request: Request, service: Served, _: Anybody, body: Body) -> Response:
    """Begin a session with a name and a password; the answer sets its cookie."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    order = read_order(LoginOrder, body)
    request.state.audit.who = order.name
    value = keeper.log_in(request, order.name, order.password.get_secret_value())
    # Until now, the name is only what somebody said.
    request.state.audit.how = "password"
    return session_begun(request, service, value)


@router.delete("", summary="Log out", status_code=204, responses=failures())
def log_out(request: Request, service: Served, caller: Reader) -> Response:
    """End this session. Scope `read`."""
    settings = service.settings
    keeper: Doorkeeper = request.app.state.doorkeeper
    with service.store.transaction() as session:
        external = end_session(session, request.cookies.get(cookie_name(settings), ""))
    response = Response(status_code=204)
    if external is not None and keeper.recheck is not None:
        # Nobody waits for the provider to log out.
        response.background = BackgroundTask(keeper.recheck.forget, external)
    response.delete_cookie(cookie_name(settings), secure=settings.secured, httponly=True, samesite="lax")
    return response


@router.put("/password", summary="Change my password", status_code=204, responses=failures(400))
def change_password(request: Request, service: Served, caller: Reader, body: Body) -> Response:
    """Change one's own password with the old one; all one's sessions end. Scope `read`."""
    keeper: Doorkeeper = request.app.state.doorkeeper
    order = read_order(PasswordOrder, body)
    if not caller.how.startswith("session "):
        raise UsageError("not logged in with a session", expected="POST /v1/session first")
    keeper.check_password(request, caller.user, order.password.get_secret_value())
    with service.store.transaction() as session:
        set_password(session, caller.user, order.new.get_secret_value())
    return Response(status_code=204)


def session_begun(request: Request, service: Service, value: str) -> Response:
    """Return the answer to a login, which sets the session's cookie; the one before ends."""
    settings = service.settings
    if (before := request.cookies.get(cookie_name(settings))) is not None:
        with service.store.transaction() as session:
            end_session(session, before)
    found = find_session(service.store, value, settings)
    if found is None:
        raise Refusal(401, "logged out again")
    response = answer(session_shown(service, *found).model_dump())
    set_cookie(response, value, settings)
    return response


def set_cookie(response: Response, value: str, settings: ApiSettings) -> None:
    """Have a browser send the cookie of a session from now on."""
    response.set_cookie(
        cookie_name(settings),
        value,
        max_age=int(settings.session_longest.total_seconds()),
        secure=settings.secured,
        httponly=True,
        samesite="lax",
    )


def session_shown(service: Service, caller: Identity | None, ends_at: datetime | None) -> SessionShown:
    """Return who asks, with the budget if it is a user."""
    if caller is None:
        nothing = May(look=False, submit=False, order=False, manage=False)
        return SessionShown(
            name=None, role=None, roles=[], how="", account=False, expires_at=None, may=nothing, budget=None
        )
    budget = None
    if caller.user:
        with service.store.reading() as session:
            limit = find_user(session, caller.user).budget
            budget = allowance_of(session, caller.user, limit, service.config.serve.budget_period, utc_now())
    return SessionShown(
        name=caller.name,
        role=caller.role,
        roles=caller.roles,
        how=caller.how,
        account=bool(caller.user),
        expires_at=None if ends_at is None else to_iso(ends_at.replace(microsecond=0)),
        may=May(
            look=caller.may(VIEWER),
            submit=caller.may(RESEARCHER),
            order=caller.may(OPERATOR),
            manage=caller.may(ADMIN),
        ),
        budget=None if budget is None else budget_shown(budget),
    )


def budget_shown(budget: Allowance) -> BudgetShown:
    """Return a budget as it is shown."""
    return BudgetShown(
        limit=budget.limit,
        spent=round(budget.spent, 4),
        reserved=round(budget.reserved, 4),
        left=None if budget.left is None else round(budget.left, 4),
        currency=budget.currency,
        period=budget.period,
        since=to_iso(budget.since),
        until=to_iso(budget.until),
    )
