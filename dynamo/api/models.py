"""Models of order bodies and responses, for validation and for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from dynamo.api.tokens import SCOPES
from dynamo.provision.spec.compute import MAX_WORKERS
from dynamo.provision.spec.not_acted_on import Ignored
from dynamo.provision.spec.types import MAX_SECONDS

Text = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]


class OrderBody(BaseModel):
    """The body of an order."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ScaleOrder(OrderBody):
    """The requested number of workers of a group."""

    model_config = ConfigDict(json_schema_extra={"example": {"wanted": 6}})
    wanted: Annotated[int, Field(ge=0, le=MAX_WORKERS)]


class DrainOrder(OrderBody):
    """What to drain: one worker, or all workers of a site."""

    model_config = ConfigDict(json_schema_extra={"example": {"worker": "chi-3f9a21-4", "deadline_s": 600}})
    worker: Text | None = None
    site: Text | None = None
    deadline_s: Annotated[
        float | None, Field(ge=0, le=MAX_SECONDS, description="Time limit for running jobs, s. Default: the spec's.")
    ] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.worker is None) == (self.site is None):
            raise ValueError("either a worker or a site")
        return self


class LeaseOrder(OrderBody):
    """A lease extension for a worker, a group or a site: until a time, or by a number of seconds."""

    model_config = ConfigDict(json_schema_extra={"example": {"target": "Chameleon:CHI@UC", "by_s": 7200}})
    target: Text
    until: Annotated[Text | None, Field(description="ISO 8601.")] = None
    by_s: Annotated[float | None, Field(gt=0, le=MAX_SECONDS, description="Extension, s.")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.until is None) == (self.by_s is None):
            raise ValueError("either until or by_s")
        return self


class TokenOrder(OrderBody):
    """A new token."""

    model_config = ConfigDict(json_schema_extra={"example": {"name": "dashboard", "scopes": ["read"], "days": 90}})
    name: Text
    scopes: Annotated[
        list[Literal["read", "submit", "write", "admin", "ping"]], Field(min_length=1, max_length=len(SCOPES))
    ]
    days: Annotated[float | None, Field(gt=0, le=36500, description="Lifetime, days. Default: no expiry.")] = None
    user: Annotated[
        Text | None,
        Field(description="Whose it is: it may do no more than the user may. Default: one's own; nobody's for admins."),
    ] = None


class SpecProblem(BaseModel):
    """One problem in a spec or an order."""

    path: str
    what: str
    expected: str = ""
    nearest: str = ""


class ProblemDetails(BaseModel):
    """An error (RFC 9457): what is wrong, where, what was expected, and what to do."""

    type: Annotated[str, Field(examples=["urn:dynamo:problem:not-found"])]
    title: Annotated[str, Field(examples=["Not Found"])]
    status: Annotated[int, Field(examples=[404])]
    detail: Annotated[str, Field(examples=["no fleet 'winter'"])]
    where: str | None = None
    expected: Annotated[str | None, Field(examples=["local, summer"])] = None
    hint: str | None = None
    errors: list[SpecProblem] | None = None
    budget: Annotated[dict[str, Any] | None, Field(description="A budget that is used up.")] = None


class Ordered(BaseModel):
    """A stored order; the process that manages the fleet carries it out."""

    fleet: str
    state: str
    looked_after_by: Annotated[str | None, Field(description="Process that carries it out; null if none is running.")]
    status: Annotated[str, Field(description="Path of the fleet's status.", examples=["/v1/fleets/local"])]
    changed: Annotated[bool | None, Field(description="For a spec: whether it changes anything.")] = None
    remarks: Annotated[
        list[str] | None, Field(description="For a spec: why its names were not checked at the sites.")
    ] = None
    group: str | None = None
    wanted: int | None = None
    workers: Annotated[dict[str, str] | None, Field(description="Draining workers, with their states.")] = None


class FleetSummary(BaseModel):
    """One fleet in the list."""

    name: str
    id: str
    state: str
    applied_at: str
    updated_at: str
    looked_after_by: str | None
    workers: Annotated[dict[str, int], Field(description="Live workers by state.")]


class Fleets(BaseModel):
    """All fleets."""

    fleets: list[FleetSummary]


class Event(BaseModel):
    """What happened, and why."""

    id: int
    time: str
    action: str
    reason: str
    site: str
    worker: str
    data: dict[str, Any]


class Events(BaseModel):
    """A page of events; request the next one with ``after_id`` = ``next_after_id``."""

    fleet: str
    events: list[Event]
    next_after_id: int


class Validated(BaseModel):
    """A valid spec, with derived values."""

    name: str
    groups: int
    spec: dict[str, Any]
    not_acted_on: Annotated[list[Ignored], Field(description="What it says that changes nothing.")]


class Token(BaseModel):
    """A token's metadata, without the token."""

    name: str
    user: Annotated[str, Field(description="Whose it is; empty for nobody's.")]
    scopes: list[str]
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class Tokens(BaseModel):
    """All tokens."""

    tokens: list[Token]


class NewToken(BaseModel):
    """A new token, shown only once."""

    name: str
    token: str


class JobReported(BaseModel):
    """A stored report of a job."""

    job: Annotated[str, Field(examples=["nightly-copy"])]
    report: Annotated[Literal["start", "success", "failure"], Field(examples=["success"])]


class Health(BaseModel):
    """The API and its store are available."""

    status: str
    version: str


class Envelope(BaseModel):
    """Mobius's response envelope, also for errors."""

    status: Annotated[int, Field(examples=[200])]
    message: Annotated[str, Field(examples=["Success"])]
    value: Any = None
    version: Annotated[str, Field(examples=["0.1"])]
