"""Radar sweeps and volumes: one internal model, one small reader for each format.

`read_volume` and `read_sweeps` take any of the formats; they are imported lazily, so that importing this package is
cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynamo.formats.radar.read import read_sweeps, read_volume

__all__ = ["read_sweeps", "read_volume"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from dynamo.formats.radar import read

        return getattr(read, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
