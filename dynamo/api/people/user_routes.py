"""Routes of users and of the audit, for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.api.access import users
from dynamo.api.access.budgets import allowance_of
from dynamo.api.access.roles import Identity
from dynamo.api.access.users import UserInfo
from dynamo.api.auth import Admin
from dynamo.api.bodies import Body, read_order
from dynamo.api.documented import body_of, failures
from dynamo.api.paging import After, Limit, Since, Until, listed, read_page, time_in
from dynamo.api.people.models import AuditItem, AuditPage, UserChange, UserItem, UserList, UserOrder
from dynamo.api.people.session_routes import budget_shown
from dynamo.api.problems import answer
from dynamo.api.service import Served, Service
from dynamo.api.showing import show, shown
from dynamo.errors import BusyError
from dynamo.store.access import AuditRow
from dynamo.times import to_iso, utc_now

router = APIRouter(prefix="/v1", tags=["users"])
Name = Annotated[str, Path(max_length=100)]


@router.get("/users", summary="Users", responses=shown(UserList))
def list_all(request: Request, service: Served, caller: Admin) -> Response:
    """List all users with their roles, and what their own runs have cost. Scope `admin`."""
    with service.store.reading() as session:
        items = [_item(service, session, user) for user in users.list_users(session)]
    return show(request, UserList(items=items, next=None))


@router.post(
    "/users",
    summary="Add a user",
    status_code=201,
    responses={201: {"model": UserItem}, **failures(400, 409)},
    openapi_extra=body_of(UserOrder),
)
def add(service: Served, caller: Admin, body: Body) -> Response:
    """Add a user, who may log in at once if there is a password. Scope `admin`."""
    order = read_order(UserOrder, body)
    password = None if order.password is None else order.password.get_secret_value()
    with service.store.transaction() as session:
        made = users.add_user(session, order.name, order.role, password=password, budget=order.budget)
        item = _item(service, session, made)
    return answer(item.model_dump(), 201, {"Location": f"/v1/users/{made.name}"})


@router.patch(
    "/users/{name}",
    summary="Change a user",
    responses={200: {"model": UserItem}, **failures(400, 404, 409)},
    openapi_extra=body_of(UserChange),
)
def change(service: Served, caller: Admin, name: Name, body: Body) -> Response:
    """Change a user's role, password, budget, or whether the user may come in. Scope `admin`."""
    order = read_order(UserChange, body)
    if order.disabled or (order.role is not None and order.role != caller.role):
        _refuse_self(caller, name)
    with service.store.transaction() as session:
        if order.role is not None:
            users.set_role(session, name, order.role)
        if order.password is not None:
            users.set_password(session, name, order.password.get_secret_value())
        if order.disabled is not None:
            users.set_disabled(session, name, order.disabled)
        if "budget" in order.model_fields_set:
            users.set_budget(session, name, order.budget)
        session.flush()
        item = _item(service, session, users.find_user(session, name))
    return answer(item.model_dump())


@router.delete("/users/{name}", summary="Remove a user", status_code=204, responses=failures(404, 409))
def remove(service: Served, caller: Admin, name: Name) -> Response:
    """Remove a user, with sessions and tokens; runs and audit keep the name. Scope `admin`."""
    _refuse_self(caller, name)
    with service.store.transaction() as session:
        users.remove_user(session, name)
    return Response(status_code=204)


@router.get("/audit", summary="Audit of orders", responses=shown(AuditPage))
def audit(
    request: Request,
    service: Served,
    caller: Admin,
    user: Annotated[str | None, Query(max_length=130, description="Who ordered.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    after: After = None,
) -> Response:
    """List orders and attempts to log in, refused ones too, the newest first. Scope `admin`."""
    query = select(AuditRow)
    if user is not None:
        query = query.where(AuditRow.who == user)
    if (begin := time_in("since", since)) is not None:
        query = query.where(AuditRow.at >= begin)
    if (end := time_in("until", until)) is not None:
        query = query.where(AuditRow.at < end)
    with service.store.reading() as session:
        page = listed(*read_page(session, query, (AuditRow.id,), after, limit), audit_item)
    return show(request, AuditPage(**page))


def audit_item(row: AuditRow) -> dict[str, Any]:
    """Return a row of the audit as it is shown."""
    told = {name: getattr(row, name) for name in AuditItem.model_fields}
    return {**told, "at": to_iso(row.at)}


def _item(service: Service, session: Session, user: UserInfo) -> UserItem:
    budget = allowance_of(session, user.name, user.budget, service.config.serve.budget_period, utc_now())
    return UserItem(**{**user.to_json(), "budget": budget_shown(budget)})


def _refuse_self(caller: Identity, name: str) -> None:
    if caller.user == name:
        raise BusyError(
            "nobody takes away the own rights", where=name, hint="ask another admin, or use dynamo users on the server"
        )
