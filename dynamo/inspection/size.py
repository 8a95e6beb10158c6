"""Whether a NetCDF file is about as large as its header declares, before anybody reads all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import netCDF4

from dynamo.errors import InputError

#: Room for the header, and for what HDF5 needs to find its chunks.
_SPARE_BYTES = 1 << 20
#: Uncompressed files have the size of their data; rewritten parts of an HDF5 file may be in it twice.
_MOST_TIMES = 2


def check_size(dataset: netCDF4.Dataset, path: Path) -> None:
    """Check the size of an open NetCDF file.

    A file that claims little and is gigabytes long would take minutes to hash.

    Raises
    ------
    InputError
        If the file is much larger than the values that its header declares; a compressed one is smaller.
    """
    size = path.stat().st_size
    declared = sum(variable.size * _value_bytes(variable) for variable in _variables(dataset))
    if size > _MOST_TIMES * declared + _SPARE_BYTES:
        raise InputError(
            f"has {size:,} bytes, but its header declares {declared:,}", where=path, expected="an undamaged file"
        )


def _variables(group: Any) -> Iterator[Any]:
    yield from group.variables.values()
    for inner in group.groups.values():
        yield from _variables(inner)


def _value_bytes(variable: Any) -> int:
    # Strings and other types of variable length have none that is known; they are small in these formats.
    return int(getattr(variable.dtype, "itemsize", 0)) or _SPARE_BYTES
