"""Marks for spec fields that are read and checked, because Mobius clients send them, but never acted on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class NotActedOn:
    """Marks a field that has no effect; a field may have several marks, each for different uses.

    Attributes
    ----------
    reason
        Why not, or what applies instead.
    drivers
        Only at sites with these drivers; empty: at all sites.
    case
        Only in this case, in words; ``only`` returns whether it applies to a part.
    silent
        Not worth reporting: the field is for readers and editors.
    """

    reason: str
    drivers: tuple[str, ...] = ()
    case: str = ""
    only: Callable[[Any], bool] | None = None
    silent: bool = False

    @property
    def everywhere(self) -> bool:
        """Whether the field is never acted on."""
        return not self.drivers and self.only is None

    def applies(self, part: BaseModel, drivers: frozenset[str]) -> bool:
        """Return whether the mark applies to a part at sites with ``drivers``."""
        if self.drivers and not drivers & set(self.drivers):
            return False
        return self.only is None or self.only(part)

    def __str__(self) -> str:
        place = f" at {' and '.join(self.drivers)} sites" if self.drivers else ""
        case = f" {self.case}" if self.case else ""
        return f"Accepted, not acted on{place}{case}: {self.reason}."


def marks_of(model: type[BaseModel]) -> Iterator[tuple[str, NotActedOn]]:
    """Return the marks of a model with their field names."""
    for name, info in model.model_fields.items():
        for item in info.metadata:
            if isinstance(item, NotActedOn):
                yield name, item


def described(model: type[BaseModel], name: str) -> str:
    """Return the documentation of a field: its description, and whether it is not acted on."""
    info = model.model_fields[name]
    told = [item for item in info.metadata if isinstance(item, NotActedOn) and not item.silent]
    return " ".join([info.description or "", *map(str, told)]).strip()
