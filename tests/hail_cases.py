"""Synthetic sweeps with hail cores of known place, for the tests of hail."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dynamo.formats.radar.model import Band, Site, Volume, make_sweep
from dynamo.radar.hail.levels import Temperatures
from dynamo.radar.sounding import two_point_profile

TIME = datetime(2019, 6, 9, 22, 25, 23, tzinfo=UTC)
GATES = 240
GATE_M = 250.0


def temperatures(melting_m: float = 4000.0, minus20_m: float = 7000.0) -> Temperatures:
    heights, values = two_point_profile(melting_m, minus20_m)
    return Temperatures(heights, values, melting_m, minus20_m, "test")


def sweep(
    *,
    angle: float = 0.5,
    band: Band = "S",
    cores: tuple[tuple[float, int], ...] = ((90.0, 120),),
    number: int = 0,
    azimuth: NDArray[np.float64] | None = None,
    without: tuple[str, ...] = (),
) -> xr.Dataset:
    """A sweep of rain with a hail core of 10 rays x 12 gates at each (azimuth, gate)."""
    azimuths = np.arange(360) + 0.5 if azimuth is None else azimuth
    shape = (azimuths.size, GATES)
    moments = {
        "DBZH": np.full(shape, 30.0),
        "ZDR": np.full(shape, 1.2),
        "RHOHV": np.full(shape, 0.985),
        "VRADH": np.full(shape, 8.0),
    }
    for centre, gate in cores:
        rays = np.abs((azimuths - centre + 180) % 360 - 180) <= 5
        wide = np.ix_(rays, np.arange(gate - 6, gate + 6))
        moments["DBZH"][wide], moments["ZDR"][wide], moments["RHOHV"][wide] = 62.0, 0.0, 0.92
    for name in without:
        del moments[name]
    return make_sweep(
        site=Site("TEST", 32.6, -97.3, 200.0, band),
        azimuth_deg=azimuths,
        elevation_deg=np.full(azimuths.size, angle),
        range_m=GATE_M * (np.arange(GATES) + 0.5),
        time=np.full(azimuths.size, np.datetime64("2019-06-09T22:25:23")),
        moments=moments,
        fixed_angle_deg=angle,
        sweep_number=number,
        volume_time=TIME,
        file_format="test",
    )


def volume(*sweeps: xr.Dataset, flags: tuple[str, ...] = ()) -> Volume:
    attrs = sweeps[0].attrs
    site = Site("TEST", 32.6, -97.3, 200.0, attrs["band"])
    return Volume(site, TIME, sweeps, flags)
