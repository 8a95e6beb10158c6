"""Compare two radars where both see: by the mean reflectivity of rain in the cells of one map, small enough to store.

Mean differences of reflectivity between neighbors tell a calibration that is off (Gourley et al. 2003,
doi:10.1175/1520-0426(2003)020<1107:ACTTMT>2.0.CO;2, compare equidistant areas at the same time).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dynamo.radar.quality.view import UNKNOWN, Measure, SweepView, middle

#: Side of a cell, degrees; both radars of a pair use the same cells.
CELL_DEG = 0.1
#: Beyond, and at higher elevations, beams are too high above those of the neighbor.
_FARTHEST_M, _HIGHEST_DEG = 100_000.0, 3.0
#: Rain whose reflectivity is compared, dBZ; and how much of it a cell needs.
_RAIN_DBZ, _ENOUGH = (15.0, 50.0), 12
_LEAST_CELLS = 10
_KM_PER_DEG = 111.2
#: Keys are rows times this, plus columns.
_COLUMNS = 10_000


def rain_map(view: SweepView) -> dict[str, float]:
    """Return the mean reflectivity of the rain in each cell, by the cell's number; empty if the beam is too high."""
    if middle(view.elevation_deg) > _HIGHEST_DEG or not np.isfinite(view.latitude_deg + view.longitude_deg):
        return {}
    ray, gate, dbz = view.all_spots
    rain = np.flatnonzero(
        (dbz >= _RAIN_DBZ[0]) & (dbz <= _RAIN_DBZ[1]) & (gate < np.searchsorted(view.sample_range_m, _FARTHEST_M))
    )
    ray, gate, dbz = ray[rain], gate[rain], dbz[rain]
    if not ray.size:
        return {}
    azimuth, distance = np.deg2rad(view.azimuth_deg), view.sample_range_m / 1000.0 / _KM_PER_DEG
    east = np.sin(azimuth) / np.cos(np.deg2rad(view.latitude_deg))
    row = _cells(view.latitude_deg + 90.0 + distance[gate] * np.cos(azimuth)[ray])
    column = _cells(view.longitude_deg + 360.0 + distance[gate] * east[ray])
    top, left = int(row.min()), int(column.min())
    width = int(column.max()) - left + 1
    cell = (row - top) * width + (column - left)
    counts, sums = np.bincount(cell), np.bincount(cell, weights=dbz)
    return {
        str((top + name // width) * _COLUMNS + left + name % width): round(float(sums[name] / counts[name]), 1)
        for name in np.flatnonzero(counts >= _ENOUGH).tolist()
    }


def _cells(degrees: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.floor(degrees / CELL_DEG).astype(np.int64)


def difference_db(one: Mapping[str, float], other: Mapping[str, float]) -> Measure:
    """Return the typical difference between two maps of the same time, dB, in the cells that both have."""
    common = sorted(one.keys() & other.keys())
    if len(common) < _LEAST_CELLS:
        return UNKNOWN
    typical = float(np.median([one[cell] - other[cell] for cell in common]))
    return Measure(round(abs(typical), 2), f"{typical:+.1f} dB in {len(common)} common cells")
