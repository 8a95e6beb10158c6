"""What all policies' options have in common: they are checked, frozen and documented."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Options of a policy; each field says what it is and its unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)
