"""The section `[provenance]` of `dynamo.toml`: what is told to others of where products come from."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

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
    openlineage: str | None = Field(
        None,
        pattern=r"^(file:.|https?://.)",
        description="Where the daemon sends OpenLineage events: `file:PATH` (JSON lines), or the address of a server, "
        "whose path is `/api/v1/lineage` unless it names another.",
        examples=["https://lineage.example.org"],
    )
    token_env: str | None = Field(None, description="Environment variable with the server's token.")
    token_file: str | None = Field(None, description="File with the server's token; read for each event.")
    timeout_s: float = Field(10.0, gt=0, le=300, description="Time limit of sending one event, in seconds.")
    keep_days: float = Field(30.0, gt=0, description="Give up events that could not be sent for N days.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.token_env is not None and self.token_file is not None:
            raise ValueError("token_env and token_file: only one can hold the token")
        return self
