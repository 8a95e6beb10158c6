"""Compare two radars where both see: by the mean reflectivity of rain in the cells of one map, small enough to store.

Mean differences of reflectivity between neighbors tell a calibration that is off (Gourley et al. 2003,
doi:10.1175/1520-0426(2003)020<1107:ACTTMT>2.0.CO;2, compare equidistant areas at the same time).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dynamo.radar.quality.view import UNKNOWN, Measure, SweepView

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
    if float(np.median(view.elevation_deg)) > _HIGHEST_DEG or not np.isfinite(view.latitude_deg + view.longitude_deg):
        return {}
    near = view.sample_range_m <= _FARTHEST_M
    dbz = view.dbz[:, near]
    with np.errstate(invalid="ignore"):
        ray, gate = np.nonzero((dbz >= _RAIN_DBZ[0]) & (dbz <= _RAIN_DBZ[1]))
    azimuth = np.deg2rad(view.azimuth_deg[ray])
    distance = view.sample_range_m[near][gate] / 1000.0 / _KM_PER_DEG
    latitude = view.latitude_deg + distance * np.cos(azimuth)
    longitude = view.longitude_deg + distance * np.sin(azimuth) / np.cos(np.deg2rad(view.latitude_deg))
    cell = np.floor((latitude + 90.0) / CELL_DEG).astype(np.int64) * _COLUMNS
    cell += np.floor((longitude + 360.0) / CELL_DEG).astype(np.int64)
    names, index, counts = np.unique(cell, return_inverse=True, return_counts=True)
    means = np.bincount(index, weights=dbz[ray, gate], minlength=names.size) / np.maximum(counts, 1)
    enough = counts >= _ENOUGH
    return {str(name): round(float(mean), 1) for name, mean in zip(names[enough], means[enough], strict=True)}


def difference_db(one: Mapping[str, float], other: Mapping[str, float]) -> Measure:
    """Return the typical difference between two maps of the same time, dB, in the cells that both have."""
    common = sorted(one.keys() & other.keys())
    if len(common) < _LEAST_CELLS:
        return UNKNOWN
    typical = float(np.median([one[cell] - other[cell] for cell in common]))
    return Measure(round(abs(typical), 2), f"{typical:+.1f} dB in {len(common)} common cells")
