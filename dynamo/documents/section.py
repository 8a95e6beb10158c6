"""Configuration sections: strict models, and sections that come in kinds with their own options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from dynamo.errors import DynamoError

if TYPE_CHECKING:
    from dynamo.plugins import Door


class Section(BaseModel):
    """A section of a document: strict types, no unknown names, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class ByKind:
    """Annotation for a section whose ``kind`` selects the model: a union that other packages can extend.

    ``Annotated[TriggerSection, ByKind(TRIGGERS, "arrival")]`` validates each table with the ``options`` of the door's
    part of that kind. That model must derive from the annotated class.

    Parameters
    ----------
    door
        The parts; each has ``options``, a subclass of the annotated section.
    default
        The kind of a table that names none. Default: the table must name one.
    """

    door: Door[Any]
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the validator for pydantic."""

        def validate(value: object) -> Section:
            if isinstance(value, source):
                return value  # type: ignore[no-any-return]
            if not isinstance(value, Mapping):
                raise PydanticCustomError("section_type", "not a table")
            kind = value.get("kind", self.default)
            if not isinstance(kind, str):
                known = ", ".join(self.door.names())
                raise _at_kind(source.__name__, kind, f"not the name of a {self.door.word}; expected one of {known}")
            try:
                model = self.door.load(kind).options
            except DynamoError as error:
                raise _at_kind(source.__name__, kind, str(error)) from error
            if not (isinstance(model, type) and issubclass(model, Section) and issubclass(model, source)):
                raise _at_kind(
                    source.__name__, kind, f"{self.door.word} {kind}: its options do not derive from {source.__name__}"
                )
            try:
                return model.model_validate(value)
            except ValidationError:
                raise
            except Exception as error:  # somebody else's model may fail in every way
                who = f"{self.door.word} {kind} of {self.door.origin(kind)}"
                raise _at_kind(source.__name__, kind, f"{who}: {type(error).__name__}: {error}") from error

        return core_schema.no_info_plain_validator_function(validate)


def _at_kind(title: str, kind: object, message: str) -> ValidationError:
    error = PydanticCustomError("section_kind", "{message}", {"message": message})
    return ValidationError.from_exception_data(title, [{"type": error, "loc": ("kind",), "input": kind}])
