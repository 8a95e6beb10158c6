"""What counts as late: the sections `[freshness]`, `[[maintenance]]`, `[[jobs]]` and `[pulse]` of `dynamo.toml`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from dynamo.config.names import Name
from dynamo.documents.section import Section

_PERIODS = {"day": timedelta(days=1), "week": timedelta(weeks=1)}


class FreshnessSection(Section):
    """When data are late or silent, by valid time; see docs/howto/freshness.md."""

    late_cadences: float = Field(
        3.0, gt=1, le=1000, description="Late after this many cadences without newer data, plus the usual delay."
    )
    silent_cadences: float = Field(12.0, gt=1, le=10_000, description="Silent, instead of late, after this many.")
    settle_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Open no problem so soon after the daemon starts or the clock jumps: what arrived meanwhile is "
        "being read.",
    )
    keep_days: float = Field(90.0, gt=0, le=100_000, description="Days to keep closed problems in the store.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.silent_cadences < self.late_cadences:
            raise ValueError("silent_cadences is less than late_cadences")
        return self


class MaintenanceSection(Section):
    """A time in which data need not come; one `[[maintenance]]` per window.

    One that names neither feeds nor radars excuses jobs, too.
    """

    start: datetime = Field(description="When it begins; UTC without an offset.", examples=["2026-11-30T14:00:00Z"])
    end: datetime = Field(description="When it ends.", examples=["2026-11-30T16:00:00Z"])
    every: Literal["day", "week"] | None = Field(
        None, description="Repeat it each `day` or `week` (in UTC).", examples=["week"]
    )
    feeds: list[str] = Field(
        default_factory=list, description="Feeds that it is about. Default: all.", examples=[["nowcasts"]]
    )
    radars: list[str] = Field(
        default_factory=list, description="Radars that it is about. Default: all.", examples=[["KFWS"]]
    )
    reason: str = Field("maintenance", description="What is shown with the state.")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _read_time(cls, value: object) -> object:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise ValueError("not a time; expected ISO 8601, such as 2026-11-30T14:00:00Z") from None
        if isinstance(value, datetime) and value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.end <= self.start:
            raise ValueError("its end is not after its start")
        if self.every is not None and self.end - self.start >= _PERIODS[self.every]:
            raise ValueError(f"it lasts longer than the {self.every} after which it repeats")
        return self

    def covers(self, now: datetime, feed: str, radar: str) -> bool:
        """Return whether data of a feed and radar need not come now."""
        if self.feeds and feed not in self.feeds:
            return False
        if self.radars and radar.upper() not in {name.upper() for name in self.radars}:
            return False
        since = now - self.start
        if self.every is not None and since >= timedelta(0):
            since %= _PERIODS[self.every]
        return timedelta(0) <= since < self.end - self.start


class JobSection(Section):
    """A job of your own, such as one of cron, that reports to `/ping/NAME`; one `[[jobs]]` per job."""

    name: Name = Field(description="Name of the job, in the address that it reports to.")
    period_s: float = Field(gt=0, le=86_400 * 366, description="Seconds from one success to the next.")
    grace_s: float = Field(
        300.0,
        ge=0,
        le=86_400 * 31,
        description="Seconds that it may be late, or take from `/start` to its end, before that is a problem.",
    )


class PulseSection(Section):
    """Report that the daemon works, so that another service notices its death; nothing is sent without an address.

    The address is that of a check of healthchecks.io, or of anything that takes the same form: `/start` is added to it
    when the daemon starts, nothing while it works, and `/fail` if it does not.
    """

    url: SecretStr | None = Field(None, description="The address; a secret, never logged.")
    url_env: str | None = Field(None, description="Environment variable that holds it.")
    url_file: str | None = Field(None, description="File that holds it.")
    every_s: float = Field(60.0, ge=1, le=86_400, description="Seconds between reports.")
    timeout_s: float = Field(10.0, gt=0, le=300, description="Time limit of one report, in seconds.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(value is not None for value in (self.url, self.url_env, self.url_file)) > 1:
            raise ValueError("give one of url, url_env, url_file")
        return self

    @property
    def wanted(self) -> bool:
        """Whether there is an address to report to."""
        return any(value is not None for value in (self.url, self.url_env, self.url_file))
