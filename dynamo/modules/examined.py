"""Shared by the modules that make products: have them checked where they are at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from dynamo.checks.model import Examination
from dynamo.checks.products import examine_product, product_series
from dynamo.contract import Call
from dynamo.radar.grid import EARTH_RADIUS_KM, LatLonGrid
from dynamo.times import to_iso

if TYPE_CHECKING:
    from dynamo.formats.hail_grid import HailGrid


def examine_geojson(
    call: Call,
    data: bytes,
    file: str,
    *,
    series: str = "",
    field_km2: Mapping[float, float] | None = None,
    counted: bool = True,
) -> None:
    """Have checked what is in a FeatureCollection, as its readers will find it; see `examine_product`."""
    collection = orjson.loads(data)
    examination = examine_product(
        collection, series=series or product_series(collection), file=file, field_km2=field_km2, counted=counted
    )
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
