"""Models of users, sessions and the audit, for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from dynamo.api.access.passwords import MAX_CHARACTERS, MIN_CHARACTERS
from dynamo.api.access.roles import Role
from dynamo.api.access.users import MAX_BUDGET
from dynamo.api.models import OrderBody, Text
from dynamo.api.paging import Page

#: How long it is is checked elsewhere: no error repeats it.
Password = Annotated[SecretStr, Field(description=f"{MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")]
Money = Annotated[float | None, Field(ge=0, le=MAX_BUDGET, description="Of own runs in each period; null: no limit.")]


class LoginOrder(OrderBody):
    """Who logs in."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "ada", "password": "..."}})
    name: Text
    password: SecretStr


class PasswordOrder(OrderBody):
    """A new password for oneself."""

    model_config = ConfigDict(json_schema_extra={"example": {"password": "...", "new": "..."}})
    password: SecretStr
    new: Password


class UserOrder(OrderBody):
    """A new user; without a password one with tokens only."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "ada", "role": "researcher", "budget": 50.0}})
    name: Text
    role: Role
    password: Password | None = None
    budget: Money = None


class UserChange(OrderBody):
    """What to change of a user; sessions of a user with a new role or password end."""

    model_config = ConfigDict(json_schema_extra={"example": {"role": "operator"}})
    role: Role | None = None
    password: Password | None = None
    disabled: bool | None = None
    budget: Money = None


class BudgetShown(BaseModel):
    """A user's budget in the current period, and what own runs have cost."""

    limit: Annotated[float | None, Field(description="Null: no limit.")]
    spent: float
    reserved: Annotated[float, Field(description="Expected of runs that are not finished.")]
    left: float | None
    currency: str
    period: str
    since: str
    until: str


class May(BaseModel):
    """What the caller may do."""

    look: bool
    submit: Annotated[bool, Field(description="Run workflows; cancel and retry these runs.")]
    order: Annotated[bool, Field(description="Give all orders.")]
    manage: Annotated[bool, Field(description="Manage users and tokens, read the audit.")]


class SessionShown(BaseModel):
    """Who asks, and what this caller may do; without a login, nobody."""

    name: str | None
    role: Role | None
    roles: list[str]
    how: Annotated[str, Field(examples=["session password"])]
    account: Annotated[bool, Field(description="Whether this is a user who may have tokens and a password.")]
    expires_at: Annotated[str | None, Field(description="When the session ends if it is not used.")]
    may: May
    budget: BudgetShown | None


class UserItem(BaseModel):
    """A user."""

    name: str
    role: Role
    disabled: bool
    has_password: bool
    issuer: Annotated[str | None, Field(description="OpenID provider, if any, and who the user is there.")]
    subject: str | None
    created_at: str
    seen_at: Annotated[str | None, Field(description="Last login.")]
    budget: BudgetShown


class UserList(Page[UserItem]):
    """All users by name."""


class AuditItem(BaseModel):
    """An order, or an attempt to log in."""

    id: int
    at: str
    who: str
    role: str
    how: str
    address: str
    method: str
    route: str
    subject: str
    summary: Annotated[str, Field(description="What the order said, without secrets.")]
    status: Annotated[int | None, Field(description="HTTP status; null if there was no answer.")]


class AuditPage(Page[AuditItem]):
    """Orders, the newest first."""
