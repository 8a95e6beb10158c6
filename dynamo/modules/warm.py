"""Import the science libraries before the first job needs them."""

from __future__ import annotations

from importlib import import_module

#: What the modules import inside their run functions.
_SCIENCE = (
    "dynamo.checks.catalogue",
    "dynamo.checks.examine",
    "dynamo.formats.geojson",
    "dynamo.formats.hail_geojson",
    "dynamo.formats.hail_grid",
    "dynamo.formats.hail_png",
    "dynamo.formats.png",
    "dynamo.formats.radar.read",
    "dynamo.formats.radar_products",
    "dynamo.formats.split",
    "dynamo.processing.hail_composite",
    "dynamo.processing.hail_grids",
    "dynamo.modules.grids",
    "dynamo.radar.contour",
)


def import_science() -> None:
    """Import what the modules use, so that a warm process starts jobs immediately."""
    for name in _SCIENCE:
        import_module(name)
