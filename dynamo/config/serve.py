"""The section `[serve]` of `dynamo.toml`: who may use the dashboard and the API, and how long a login lasts."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dynamo.config.oidc import OidcSection
from dynamo.documents.section import Section


class ServeSection(Section):
    """Who may use the dashboard and the API of `dynamo serve`; see docs/howto/users.md."""

    login: Literal["elsewhere", "always"] = Field(
        "elsewhere",
        description="`elsewhere`: on a loopback address, programs of the user who starts it need no login. `always`: "
        "everybody logs in or sends a token.",
    )
    idle_h: float = Field(12.0, gt=0, le=24 * 31, description="Hours without a request after which a login ends.")
    longest_h: float = Field(168.0, gt=0, le=24 * 366, description="Hours after which a login ends in any case.")
    budget_period: Literal["day", "week", "month"] = Field(
        "month",
        description="What users' budgets are for: their own runs since the beginning of the day, week or month (UTC).",
    )
    audit_days: float = Field(365.0, ge=1, le=100_000, description="Days to keep the audit of orders.")
    oidc: OidcSection | None = Field(None, description="Log in with accounts of a provider. Default: none.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.longest_h < self.idle_h:
            raise ValueError("longest_h is less than idle_h")
        return self
