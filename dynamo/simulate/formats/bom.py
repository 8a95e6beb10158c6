"""Bureau of Meteorology, Rainfields: bias-corrected rain of six minutes (`prcp-cscn`), 256 km around Melbourne, Albers.

NetCDF-4; rows from the north; integer multiples of 0.05 mm, -32768 outside coverage.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.formats.composites.reprojection import ProjectedGrid

STEP_MM = 0.05
MINUTES = 6
_FILL = np.int16(-32768)
_CELL_KM = 0.5
_HALF_KM = 128.0
_PROJECTION: dict[str, Any] = {
    "grid_mapping_name": "albers_conical_equal_area",
    "semi_major_axis": 6_378_137.0,
    "inverse_flattening": 298.257222101,
    "standard_parallel": np.array([-18.0, -36.0]),
    "longitude_of_central_meridian": 144.752,
    "latitude_of_projection_origin": -37.852,
    "false_easting": 0.0,
    "false_northing": 0.0,
}
_SIDE = round(2 * _HALF_KM / _CELL_KM)
GRID = ProjectedGrid(
    crs="+proj=aea +lat_1=-18 +lat_2=-36 +lat_0=-37.852 +lon_0=144.752 +ellps=GRS80 +units=m",
    x0=-_HALF_KM * 1000, y0=_HALF_KM * 1000, dx=_CELL_KM * 1000, dy=-_CELL_KM * 1000, rows=_SIDE, columns=_SIDE,
)  # fmt: skip


def encode(rate_mm_h: NDArray[np.float32], time: datetime) -> bytes:
    """Return a file.

    Parameters
    ----------
    rate_mm_h
        Rain rate on `GRID`, row 0 northernmost; NaN outside coverage.
    time
        End of the six-minute interval.
    """
    file: Any = netCDF4.Dataset("prcp-cscn.nc", "w", format="NETCDF4", memory=1024)
    file.setncatts(
        {
            "Conventions": "CF-1.6",
            "title": "Bias Corrected Radar Accumulation",
            "institution": "simulated",
            "source": "simulated in the form of rainfields 3.0.28",
            "station_id": np.uint32(2),
            "station_name": "Melb",
        }
    )
    file.createDimension("x", GRID.columns)
    file.createDimension("y", GRID.rows)
    since = "seconds since 1970-01-01 00:00:00 UTC"
    for name, label, when in (
        ("valid_time", "Valid time", time),
        ("start_time", "Accumulation start time", time - timedelta(minutes=MINUTES)),
    ):
        variable = file.createVariable(name, "i8")
        variable.setncatts({"long_name": label, "units": since})
        variable[...] = int(when.timestamp())
    file.createVariable("proj", "i1").setncatts(_PROJECTION)
    for name, first_m, step_m, count in (
        ("x", GRID.x0, GRID.dx, GRID.columns),
        ("y", GRID.y0, GRID.dy, GRID.rows),
    ):
        axis = file.createVariable(name, "f4", (name,))
        axis.setncatts({"units": "km", "standard_name": f"projection_{name}_coordinate"})
        axis[:] = (first_m + step_m * np.arange(count)) / 1000.0
    rain = file.createVariable("precipitation", "i2", ("y", "x"), compression="zlib", fill_value=_FILL)
    rain.setncatts(
        {
            "grid_mapping": "proj",
            "long_name": "Accumulated precipitation",
            "standard_name": "precipitation_amount",
            "units": "kg m-2",
            "scale_factor": STEP_MM,
            "add_offset": 0.0,
        }
    )
    rain.set_auto_maskandscale(False)
    packed = np.rint(np.nan_to_num(rate_mm_h) * (MINUTES / 60.0 / STEP_MM)).astype(np.int16)
    rain[:] = np.where(np.isnan(rate_mm_h), _FILL, packed)
    return bytes(file.close())
