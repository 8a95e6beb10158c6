"""Option types shared by several sections."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dynamo.documents.part_name import PartName
from dynamo.doors import ENGINES

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
EngineName = Annotated[str, PartName(ENGINES)]
