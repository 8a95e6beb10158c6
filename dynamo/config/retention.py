"""The section `[retention]` of `dynamo.toml`: how long products and rows are kept, and where."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dynamo.documents.section import ByKind, Section
from dynamo.doors import TIERS

Removable = Literal["if it can be made again", "even if it cannot be made again"]
IF_REMAKEABLE: Removable = "if it can be made again"
REGARDLESS: Removable = "even if it cannot be made again"


class TierSection(Section):
    """Where products go that are old: `[retention.warm]`. Each kind adds its own options."""

    kind: str = Field("folder", description="`folder`, `s3`, or a kind from an installed package.")

    def declare(self) -> None:
        """Let this process find what is there; nothing to do for folders."""


class RetentionRule(Section):
    """How long products are kept; the first rule that matches a run's workflow and day counts."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")] = Field(
        description="Name of the rule, given as the reason."
    )
    workflows: list[str] = Field(default=["*"], min_length=1, description="Shell patterns for names of workflows.")
    important: bool = Field(
        False, description="Only for days (UTC) with hail or alerts, or that `dynamo retention keep` named."
    )
    hot_days: float | None = Field(
        None, ge=0, description="Days until products move to the warm tier. Default: they stay where they are."
    )
    gone_days: float | None = Field(None, gt=0, description="Days until products are removed. Default: never.")
    remove: Removable = Field(
        IF_REMAKEABLE,
        description="Which products may be removed: only those whose inputs are still held, or all.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.hot_days is not None and self.gone_days is not None and self.gone_days < self.hot_days:
            raise ValueError("gone_days is less than hot_days")
        return self


class RetentionSection(Section):
    """What is kept for how long (everything without `rules`). Ages count from publication or valid time, the later."""

    every_h: float = Field(1.0, gt=0, le=168, description="Hours between passes of `dynamo watch`.")
    hot_gb: float | None = Field(
        None,
        gt=0,
        description="Most gigabytes of products here: beyond, the oldest that a rule matches move on early.",
    )
    warm_gb: float | None = Field(
        None, gt=0, description="Most gigabytes in the warm tier: beyond, the oldest that a rule matches are removed."
    )
    arrivals_days: float | None = Field(
        None, ge=1, description="Days to keep the rows of arrived files; of files still in their feed only facts go."
    )
    decisions_days: float | None = Field(None, ge=1, description="Days to keep decisions and their reasons.")
    runs_days: float | None = Field(
        None,
        ge=1,
        description="Days to keep the rows of finished runs that have no products (any more), and documents that no "
        "run uses.",
    )
    costs_days: float | None = Field(
        None, ge=1, description="Days to keep cost observations beyond those that a fit uses."
    )
    warm: Annotated[TierSection, ByKind(TIERS, "folder")] | None = Field(
        None, description="The warm tier; see below. Default: none, so `hot_days` has no effect."
    )
    rules: list[RetentionRule] = Field(default_factory=list, description="Rules; see below.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        twice = [name for name, count in Counter(rule.name for rule in self.rules).items() if count > 1]
        if twice:
            raise ValueError(f"two rules are named {twice[0]}")
        return self
