"""The sections `[[triggers]]` of `dynamo.toml`: the options of every kind; each kind's file adds its own."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from dynamo.config.alerts import AlertsSection
from dynamo.config.names import EngineName, Name
from dynamo.documents.section import Section


class TriggerSection(Section):
    """A rule: which arrivals start which workflow; one `[[triggers]]` for each."""

    name: Name = Field(description="Name of the trigger, as it appears with runs and decisions.")
    kind: str = Field(description="When it starts its workflow, with options of its own; see below.")
    feed: Name = Field(description="Feed whose files it takes.")
    workflow: str = Field(description="A template or the path of a workflow document.", examples=["hail"])
    input: str | None = Field(
        None,
        description="Input of the workflow that the file is; may be left out if it has one.",
        examples=["nowcast"],
    )
    files: dict[str, str] = Field(
        default_factory=dict, description="Further inputs that are the same each time, as a sounding: input = path."
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of the workflow.")
    engine: EngineName | None = Field(None, description="Engine; without it that of `[runs]`.", examples=["condor"])
    priority: int | None = Field(
        None, ge=-1000, le=1000, description="Higher runs first; without it the workflow's.", examples=[10]
    )
    deadline_s: float | None = Field(
        None,
        ge=0,
        description="Seconds from arrival after which a run that has not started is skipped if a newer one exists; "
        "without it the workflow's, 0 for none.",
        examples=[60],
    )
    shed: Literal["never", "late", "skip"] = Field(
        "late",
        description="While more work is due than can be bought (`[autoscale]`): which runs are left out. `never`: "
        "none, as for those that alerts are made of, and in a pool their jobs go before all others; `late`: one that "
        "cannot be in time any more, if a newer one exists or work of higher priority is due; `skip`: also at once "
        "where work of higher priority is due.",
    )

    def problem(self, feeds: Sequence[str], alerts: AlertsSection) -> str:  # noqa: ARG002 - kinds look at more
        """Return what does not fit to the rest of the file; empty where all does.

        Parameters
        ----------
        feeds
            The names of all feeds.
        alerts
            Who is told of what the workflows find.
        """
        return self.no_feed("feed", self.feed, feeds)

    def no_feed(self, what: str, name: str, feeds: Sequence[str]) -> str:
        """Return that a feed does not exist, with the nearest that does; empty where it exists."""
        if name in feeds:
            return ""
        near = difflib.get_close_matches(name, feeds, n=1)
        return f"trigger {self.name} names the {what} {name}, which does not exist" + (
            f" (did you mean {near[0]}?)" if near else ""
        )


class ConditionSection(Section):
    """On the data of an arrival: at least `area_km2` at or above `level_dbz` at some leads."""

    area_km2: float = Field(ge=0, description="Least area, km2.")
    level_dbz: float = Field(ge=-30, le=100, description="Reflectivity at or above which area counts, dBZ.")
    leads: Literal["any", "all"] | list[int] = Field(
        "any", description="`any` lead, `all` leads, or any of a list of leads in minutes."
    )


#: Options of more than one kind.
FilePattern = Annotated[str, Field(description="Shell pattern of file names.")]
ConditionOption = Annotated[
    ConditionSection | None,
    Field(description="Start only if the data are so.", examples=[{"area_km2": 10, "level_dbz": 45, "leads": "any"}]),
]
