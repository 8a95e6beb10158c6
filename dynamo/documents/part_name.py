"""Strings in documents that name a part: an engine, a policy, a driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dynamo.documents.problems import nearest

if TYPE_CHECKING:
    from dynamo.plugins import Door


@dataclass(frozen=True)
class PartName:
    """Annotation for a string that must name a built-in or installed part; the part is not imported.

    ``Annotated[str, PartName(ENGINES)]`` refuses unknown names, listing the known ones and the closest match. The JSON
    Schema lists the names available in this environment.

    Parameters
    ----------
    door
        The parts.
    """

    door: Door[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the validator for pydantic."""

        def check(name: str) -> str:
            if name in self.door:
                return name
            known = self.door.names()
            near = nearest(name, known)
            text = f"no such {self.door.word}, expected one of {', '.join(known)}"
            text += f"; did you mean {near}?" if near else ""
            raise PydanticCustomError("part_name", "{text}", {"text": text, "word": self.door.word, "known": known})

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON Schema for pydantic."""
        return {**handler(schema), "enum": list(self.door.names())}
