"""The sections `[checks.NAME]` of `dynamo.toml`: what a check's values mean for runs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dynamo.documents.problems import nearest
from dynamo.documents.section import Section
from dynamo.doors import CHECKS


class CheckSection(Section):
    """One check; without a section it keeps its own limits (`dynamo checks list`).

    The name of a check of a workflow module is the one the module gives; it needs `suspect` or `fail`.
    """

    enabled: bool = Field(True, description="Judge its values at all.")
    severity: Literal["warn", "block"] | None = Field(
        None, description="`block`: publish nothing made from data that fail. Default: the check's own."
    )
    suspect: float | None = Field(
        None, allow_inf_nan=False, description="Values beyond this are suspect (flag 3). Default: the check's own."
    )
    fail: float | None = Field(
        None, allow_inf_nan=False, description="Values beyond this are bad (flag 4). Default: the check's own."
    )
    series: list[str] = Field(default_factory=list, description="Only these radars or sources; all by default.")

    def problem(self, name: str) -> str:
        """Return what is wrong with the section's name, a check that no package has; empty if nothing is.

        It may be that of a workflow module, which only its jobs know: such a section must set a limit, since nothing
        else does, and its name must not look like another one misspelt.
        """
        if name in CHECKS:
            return ""
        near = nearest(name, CHECKS.names())
        if near:
            return f"checks.{name}: unknown check (did you mean {near}?)"
        if self.suspect is None and self.fail is None:
            return f"checks.{name}: unknown check (dynamo checks list); one of a workflow module needs suspect or fail"
        return ""
