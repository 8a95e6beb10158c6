"""The section `[provenance]` of `dynamo.toml`: what is told to others of where products come from."""

from __future__ import annotations

from pydantic import Field

from dynamo.documents.section import Section


class ProvenanceSection(Section):
    """What is told to others of where products come from."""

    prov: bool = Field(False, description="Write `prov.json` (W3C PROV-JSON) beside each `index.json`.")
    namespace: str = Field(
        "dynamo",
        min_length=1,
        max_length=200,
        description="Namespace of the workflows in OpenLineage events; give each installation its own.",
    )
