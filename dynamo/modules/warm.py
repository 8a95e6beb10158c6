"""Importing the science before the first job needs it."""

from __future__ import annotations

from importlib import import_module

#: What the modules import inside their run functions.
_SCIENCE = (
    "dynamo.formats.geojson",
    "dynamo.formats.png",
    "dynamo.formats.split",
    "dynamo.modules.grids",
    "dynamo.radar.contour",
)


def import_science() -> None:
    """Import what the modules use, so that a warm process starts a job at once."""
    for name in _SCIENCE:
        import_module(name)
