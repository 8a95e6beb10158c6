"""The sections `[[feeds]]` of `dynamo.toml`: the options of every kind; each kind's file adds its own."""

from __future__ import annotations

from pydantic import Field

from dynamo.config.names import Name
from dynamo.documents.section import Section


class FeedSection(Section):
    """A source of files; one `[[feeds]]` for each."""

    name: Name = Field(description="Name of the feed, as triggers use it.")
    kind: str = Field(description="What it is, with options of its own; see below.")
    rescan_s: float = Field(
        30.0, gt=0, description="How often, in seconds, to look for what the kernel did not tell of (NFS)."
    )
    settle_s: float = Field(
        2.0,
        ge=0,
        description="Seconds that size and time of a file must be unchanged when nobody told of its closing, and "
        "before a file that cannot be read goes to quarantine.",
    )

    @property
    def made_by(self) -> str | None:
        """The workflow of this store that makes its files; None where they come from outside."""
        return None
