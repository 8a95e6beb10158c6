"""An asset: a named set of data with dimensions, derived from a feed or a workflow's output, or declared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dynamo.runs.series import FEED, WORKFLOW

Dimension = Literal["valid_time", "radar", "lead"]


@dataclass(frozen=True)
class Asset:
    """A named set of data.

    Attributes
    ----------
    name
        Its own name, if it is declared in the configuration; otherwise that of the feed, or ``WORKFLOW/JOB.PORT``.
    source
        The feed or workflow whose series count it.
    output
        The output of the workflow, as ``JOB.PORT``; empty for a feed.
    made_from
        Names of the feeds that it is made from; empty if nobody but people start its workflow.
    cadence_s
        Seconds between its valid times, if declared.
    """

    name: str
    kind: Literal["feed", "workflow"]
    source: str
    output: str = ""
    dimensions: tuple[Dimension, ...] = ("valid_time",)
    description: str = ""
    owner: str = ""
    made_from: Sequence[str] = ()
    cadence_s: float | None = None

    @property
    def of(self) -> str:
        """What it is, as the configuration's ``of`` names it."""
        return f"{self.source}/{self.output}" if self.kind == WORKFLOW else self.source

    @property
    def is_feed(self) -> bool:
        """Whether its partitions are arrivals, not runs."""
        return self.kind == FEED
