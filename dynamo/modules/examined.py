"""Shared by the modules that make products: have them checked where they are at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from dynamo.checks.examine import DETAILED_LEADS, nowcast_series
from dynamo.checks.model import Examination
from dynamo.checks.products import area_off, examine_product, product_series
from dynamo.contract import Call
from dynamo.radar.grid import EARTH_RADIUS_KM, LatLonGrid
from dynamo.times import to_iso

if TYPE_CHECKING:
    from dynamo.formats.hail_grid import HailGrid
    from dynamo.formats.split import LeadGrid
    from dynamo.radar.contour import Contours


def examine_geojson(call: Call, data: bytes, file: str) -> None:
    """Have checked what is in a FeatureCollection of hail, as its readers will find it."""
    collection = orjson.loads(data)
    call.checks.append(examine_product(collection, series=product_series(collection), file=file).to_json())


def examine_contours(
    call: Call, grid: LeadGrid, found: Sequence[Contours], data: bytes, file: str, *, whole: bool
) -> None:
    """Have the areas of storms checked: some leads as their readers will find them, the others' size only.

    Parameters
    ----------
    grid, found
        What was traced, and what was found.
    data, file
        The GeoJSON and its name.
    whole
        Whether the areas cover the field; where small ones are left out on purpose, their size says nothing of it.
    """
    series = nowcast_series(grid.header.grid, "storms")
    levels = [level.level for level in found]
    field_km2 = areas_km2(grid.field, grid.header.grid, levels) if whole else {}
    if grid.lead % DETAILED_LEADS == 0:
        # Whether rings cross themselves costs more than to trace them.
        collection, first = orjson.loads(data), grid.lead == 0
        examination = examine_product(collection, series=series, file=file, field_km2=field_km2, counted=first)
    else:
        enclosed = {level.level: float(level.area_km2.sum()) for level in found}
        values = {"product_area": area_off(enclosed, field_km2)}
        examination = Examination(series, file, "product", to_iso(grid.valid_time), values)
    call.checks.append(examination.to_json())


def examine_coverage(call: Call, hail: HailGrid, file: str) -> None:
    """Have the part of a composite that radars see compared with what they usually see of it."""
    place = f"without {', '.join(hail.missing)}" if hail.missing else ""
    values = {"field_coverage": (round(float(hail.observed.mean()), 6), place)}
    examination = Examination("hail-composite", file, "grid", to_iso(hail.time), values)
    call.checks.append(examination.to_json())


def areas_km2(field: NDArray[Any], grid: LatLonGrid, levels: Sequence[float]) -> dict[float, float]:
    """Return the area of a field at and above each level, km2."""
    cells = np.deg2rad(grid.dlat_deg) * np.deg2rad(grid.dlon_deg) * EARTH_RADIUS_KM**2
    rows = cells * np.cos(np.deg2rad(grid.latitudes))
    with np.errstate(invalid="ignore"):
        return {level: float(np.count_nonzero(field >= level, axis=1) @ rows) for level in levels}
