"""Base of all policies' options: validated, frozen and documented."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PolicyOptions(BaseModel):
    """Options of a policy; each field's description gives its meaning and unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
