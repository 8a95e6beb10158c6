"""The sections `[[assets]]` of `dynamo.toml`: what people call a set of data, and who answers for it."""

from __future__ import annotations

from pydantic import Field

from dynamo.config.names import Name
from dynamo.documents.section import Section


class AssetSection(Section):
    """A name for what a feed brings or an output of a workflow holds; one `[[assets]]` per asset."""

    name: Name = Field(description="Name of the asset.")
    of: str = Field(
        min_length=1,
        max_length=300,
        description="What it is: a feed's name, or an output of a workflow as `WORKFLOW/JOB.PORT`.",
        examples=["hail/contour.geojson"],
    )
    description: str = Field("", max_length=4000, description="For the reader.")
    owner: str = Field("", max_length=200, description="Who answers for it.", examples=["radar-ops@example.org"])
    cadence_s: float | None = Field(
        None, gt=0, description="Seconds between its valid times. Default: learned from what is there."
    )
