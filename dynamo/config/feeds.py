"""The sections `[[feeds]]` of `dynamo.toml`: options common to every kind; each kind's module adds its own."""

from __future__ import annotations

from pydantic import Field

from dynamo.config.names import Name
from dynamo.documents.section import Section


class FeedSection(Section):
    """A source of files; one `[[feeds]]` per feed."""

    name: Name = Field(description="Name of the feed, used by triggers.")
    kind: str = Field(description="Kind of feed; each adds its own options, see below.")
    rescan_s: float = Field(30.0, gt=0, description="Seconds between scans for files the kernel did not report (NFS).")
    settle_s: float = Field(
        2.0,
        ge=0,
        description="Seconds a file's size and time must stay unchanged if its closing was not reported, and before "
        "an unreadable file is quarantined.",
    )

    cadence_s: float | None = Field(
        None,
        gt=0,
        le=86_400 * 31,
        description="Usual seconds between valid times of one radar. Default: learned from the last ones, so that it "
        "follows a radar from precipitation to clear-air mode.",
        examples=[300],
    )
    expect: list[str] = Field(
        default_factory=list,
        description="Radars that must deliver, such as `KFWS`. One that never did is `silent`, too.",
        examples=[["KFWS"]],
    )

    @property
    def made_by(self) -> str | None:
        """The workflow of this store that makes its files; None if they come from outside."""
        return None
