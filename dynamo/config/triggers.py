"""The sections `[[triggers]]` of `dynamo.toml`: options common to every kind; each kind's module adds its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from dynamo.config.alerts import AlertsSection
from dynamo.config.names import EngineName, Name
from dynamo.config.problems import feed_hint
from dynamo.documents.section import Section


class TriggerSection(Section):
    """A rule: which arrivals start which workflow; one `[[triggers]]` per rule."""

    name: Name = Field(description="Name of the trigger, shown with its runs and decisions.")
    kind: str = Field(description="Kind of trigger; each adds its own options, see below.")
    feed: Name = Field(description="Feed to take files from.")
    workflow: str = Field(description="Template name, or path of a workflow document.", examples=["hail"])
    input: str | None = Field(
        None,
        description="Workflow input that gets the file. Default: the only one not in `files`.",
        examples=["nowcast"],
    )
    files: dict[str, str] = Field(
        default_factory=dict, description="Other inputs, the same for every run, such as a sounding: input = path."
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of the workflow.")
    engine: EngineName | None = Field(None, description="Engine. Default: `runs.engine`.", examples=["condor"])
    priority: int | None = Field(
        None, ge=-1000, le=1000, description="Higher runs first. Default: the workflow's.", examples=[10]
    )
    deadline_s: float | None = Field(
        None,
        ge=0,
        description="Skip a run that has not started N seconds after arrival if a newer one exists; 0: no deadline. "
        "Default: the workflow's.",
        examples=[60],
    )
    shed: Literal["never", "late", "skip"] = Field(
        "late",
        description="What to drop when more work is due than `[autoscale]` can buy capacity for. `never`: nothing, and "
        "in a pool its jobs go before all others (for alerts); `late`: a run that can no longer make its deadline, if "
        "a newer one exists or higher-priority work is due; `skip`: also any run as soon as higher-priority work is "
        "due.",
    )

    def problem(self, feeds: Sequence[str], alerts: AlertsSection) -> str:  # noqa: ARG002 - kinds check more
        """Return what conflicts with the rest of the file; empty if nothing does.

        Parameters
        ----------
        feeds
            The names of all feeds.
        alerts
            Who is alerted to what the workflows find.
        """
        return self.no_feed("feed", self.feed, feeds)

    def no_feed(self, what: str, name: str, feeds: Sequence[str]) -> str:
        """Return that a feed does not exist, with the closest match; empty if it exists."""
        if name in feeds:
            return ""
        return f"trigger {self.name} names the {what} {name}, which does not exist{feed_hint(name, feeds)}"


class ConditionSection(Section):
    """Condition on the data of an arrival: at least `area_km2` at or above `level_dbz`."""

    area_km2: float = Field(ge=0, description="Minimum area, in km2.")
    level_dbz: float = Field(ge=-30, le=100, description="Reflectivity at or above which area counts, in dBZ.")
    leads: Literal["any", "all"] | list[int] = Field(
        "any", description="At `any` lead, `all` leads, or any in a list of leads, in minutes."
    )


#: Options shared by several kinds.
FilePattern = Annotated[str, Field(description="Shell pattern for file names.")]
ConditionOption = Annotated[
    ConditionSection | None,
    Field(
        description="Start only if the data meet this condition.",
        examples=[{"area_km2": 10, "level_dbz": 45, "leads": "any"}],
    ),
]
