"""The sections `[checks.NAME]` of `dynamo.toml`: what a check's values mean for runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamo.documents.section import Section


class CheckSection(Section):
    """One check; without a section it keeps its own limits (`dynamo checks list`).

    The name of a check of a workflow module is the one the module gives.
    """

    enabled: bool = Field(True, description="Judge its values at all.")
    severity: Literal["warn", "block"] | None = Field(
        None, description="`block`: publish nothing made from data that fail. Default: the check's own."
    )
    suspect: float | None = Field(
        None, description="Values beyond this are suspect (flag 3). Default: the check's own."
    )
    fail: float | None = Field(None, description="Values beyond this are bad (flag 4). Default: the check's own.")
    series: list[str] = Field(default_factory=list, description="Only these radars or sources; all by default.")
