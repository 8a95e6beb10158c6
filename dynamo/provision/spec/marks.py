"""Marks at fields of a spec that are read and checked, for Mobius's clients send them, but that nothing acts on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True)
class NotActedOn:
    """Says at a field that giving it changes nothing; a field may have several, each for other uses of it.

    Attributes
    ----------
    reason
        Why not, or what holds in its place.
    drivers
        Only at sites with these drivers; empty: at all.
    case
        Only in this case, in words; ``only`` tells of a part whether it is the case.
    silent
        Not worth a line for each use: the field is for people and editors.
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
        """Tell whether it is true of a part at sites with ``drivers``."""
        if self.drivers and not drivers & set(self.drivers):
            return False
        return self.only is None or self.only(part)

    def __str__(self) -> str:
        place = f" at {' and '.join(self.drivers)} sites" if self.drivers else ""
        case = f" {self.case}" if self.case else ""
        return f"Accepted, not acted on{place}{case}: {self.reason}."


def marks_of(model: type[BaseModel]) -> Iterator[tuple[str, NotActedOn]]:
    """Return the marks of a model with the names of their fields."""
    for name, info in model.model_fields.items():
        for item in info.metadata:
            if isinstance(item, NotActedOn):
                yield name, item


def described(model: type[BaseModel], name: str) -> str:
    """Return what is said of a field to people: its description, and that it is not acted on."""
    info = model.model_fields[name]
    told = [item for item in info.metadata if isinstance(item, NotActedOn) and not item.silent]
    return " ".join([info.description or "", *map(str, told)]).strip()
