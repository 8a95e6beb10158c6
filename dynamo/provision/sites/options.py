"""Driver options: read from a mapping, unknown names rejected."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from dynamo.errors import InputError


class DriverOptions(BaseModel):
    """Base class of all options: read from a mapping, unknown names rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def read(cls, values: Mapping[str, object], *, where: str) -> Self:
        """Check ``values``.

        Raises
        ------
        InputError
            With the option's name, what was expected, and for an unknown name the nearest known one.
        """
        (known,) = split_options(values, cls, where=where)
        try:
            return cls.model_validate(known)
        except ValidationError as error:
            first = error.errors()[0]
            path = ".".join(str(part) for part in first["loc"])
            raise InputError(f"option {path}: {first['msg'].lower()}", where=where) from None


def split_options(values: Mapping[str, object], *kinds: type[DriverOptions], where: str) -> list[dict[str, object]]:
    """Return the part of ``values`` that belongs to each kind, in order.

    Raises
    ------
    InputError
        If a name belongs to none of them; near misses are searched among all.
    """
    known = sorted({name for kind in kinds for name in kind.model_fields})
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else None
            raise InputError(f"unknown option {name!r:.60}", where=where, expected=", ".join(known), hint=hint)
    return [{name: value for name, value in values.items() if name in kind.model_fields} for kind in kinds]
