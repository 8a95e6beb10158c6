"""The module `mypkg_cells`: what DyNamo finds by the entry point.

This file is imported wherever the contract is needed, as when a document is checked; what the work needs is imported in
`_run`, so that listing modules stays fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dynamo.contract import Call, Module, Number, Parameter, Port

if TYPE_CHECKING:
    from dynamo.formats.split import LeadGrid
    from mypkg.cells import Cell


def _run(call: Call) -> dict[str, float]:
    import orjson

    from dynamo.files import write_bytes
    from dynamo.formats.split import read_grids
    from mypkg.cells import find_cells

    level, min_area = call.parameters["level"], call.parameters["min_area"]
    features: list[dict[str, Any]] = []
    largest = 0.0
    for grid in read_grids(call.input("nowcast")):
        cells = find_cells(grid.field, grid.header.grid, level, min_area)
        features += [_feature(cell, grid, level) for cell in cells]
        largest = max([largest, *(cell.area_km2 for cell in cells)])
    # Written atomically: a file that is there is complete.
    write_bytes(call.output("cells"), orjson.dumps({"type": "FeatureCollection", "features": features}))
    return {"cells": float(len(features)), "largest_km2": largest}


def _feature(cell: Cell, grid: LeadGrid, level_dbz: float) -> dict[str, Any]:
    from dynamo.times import to_iso

    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [round(cell.longitude_deg, 5), round(cell.latitude_deg, 5)]},
        "properties": {
            "valid_time": to_iso(grid.valid_time),
            "lead_min": grid.lead,
            "level_dbz": level_dbz,
            "area_km2": round(cell.area_km2, 3),
            "max_dbz": round(cell.max_dbz, 2),
        },
    }


MODULE = Module(
    name="mypkg_cells",
    version="1",
    description="Find storm cells: connected areas at or above a level, as points with area and maximum.",
    inputs=(Port("nowcast", "casa-nowcast|casa-split", "A nowcast with all its leads, or one lead of it."),),
    outputs=(Port("cells", "geojson", "A point for each cell of each lead, the largest first."),),
    parameters=(
        Parameter("level", "float", "Least reflectivity of a cell.", default=45.0, unit="dBZ", minimum=-30, maximum=90),
        Parameter("min_area", "float", "Leave out smaller cells.", default=4.0, unit="km2", minimum=0, maximum=1e6),
    ),
    run=_run,
    numbers=(
        Number("cells", "Cells of all leads."),
        Number("largest_km2", "Area of the largest cell; 0 without any.", unit="km2"),
    ),
)
