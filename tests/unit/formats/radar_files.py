"""Small radar files with faults to order: CASA sweeps and NEXRAD Level II volumes and chunks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.simulate.formats.nexrad_messages import SimulatedRay, ray_message, record, volume_header

START = datetime(2019, 6, 9, 22, 25, tzinfo=UTC)
ADDISON = {"RadarName": "addison.tx", "Latitude": 32.9814, "Longitude": -96.8391, "Height": 210.0}


def write_casa(
    path: Path,
    *,
    azimuth: NDArray[Any] | None = None,
    gates: int = 20,
    start: datetime = START,
    site: dict[str, Any] | None = None,
    dbz: NDArray[Any] | None = None,
    unlimited: bool = True,
    time_step_s: float = 0.1,
) -> Path:
    azimuth = (np.arange(36) * 10.0 + 125.0) % 360.0 if azimuth is None else azimuth
    rays = azimuth.size
    if dbz is None:
        dbz = np.repeat(azimuth[:, None], gates, axis=1) / 10.0
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        for name, value in (ADDISON if site is None else site).items():
            file.setncattr(name, value)
        file.createDimension("Radial", None if unlimited else rays)
        file.createDimension("Gate", gates)
        per_ray = {
            "Azimuth": azimuth,
            "Elevation": np.full(rays, 2.0),
            "GateWidth": np.full(rays, 31_250.0),
            "StartRange": np.zeros(rays),
            "TxFrequency": np.full(rays, 9.5e9),
            "Nyquist": np.full(rays, 47.3),
        }
        for name, values in per_ray.items():
            file.createVariable(name, "f8", ("Radial",))[:] = values
        seconds = start.timestamp() + np.arange(rays) * time_step_s
        file.createVariable("Time", "i4", ("Radial",))[:] = seconds.astype(np.int64)
        per_gate = {"Reflectivity": dbz, "CrossPolCorrelation": np.full((rays, gates), 0.98)}
        per_gate["DifferentialReflectivity"] = np.full((rays, gates), 1.5)
        per_gate["NormalizedCoherentPower"] = np.full((rays, gates), -999.0)
        for name, values in per_gate.items():
            file.createVariable(name, "f4", ("Radial", "Gate"))[:] = values
    return path


def level2_ray(
    number: int,
    *,
    elevation_number: int = 1,
    status: int = 1,
    azimuth: float | None = None,
    elevation: float = 0.5,
    milliseconds: int = 0,
    moments: Sequence[bytes] = (b"REF", b"ZDR", b"RHO"),
    raw: int = 130,
    gates: int = 30,
    station: bytes = b"KFWS",
    place: tuple[float, float] = (32.573, -97.303),
) -> bytes:
    ray = SimulatedRay(
        station=station,
        time=START + timedelta(milliseconds=milliseconds),
        number=number,
        azimuth_deg=(number - 1) * 10.0 + 0.5 if azimuth is None else azimuth,
        elevation_deg=elevation,
        elevation_number=elevation_number,
        status=status,
        place_deg=place,
        altitude_m=233.0,
        nyquist_m_s=33.98,
        unambiguous_m=46_600.0,
        first_gate_m=2125,
        gate_m=250,
    )
    return ray_message(ray, {name: np.full(gates, raw) for name in moments})


def level2_header(station: bytes = b"KFWS") -> bytes:
    return volume_header(station, START)


def level2_chunks(
    cuts: int = 2,
    rays: int = 36,
    rays_a_chunk: int = 12,
    station: bytes = b"KFWS",
    place: tuple[float, float] = (32.573, -97.303),
) -> list[tuple[str, bytes]]:
    """Return the chunks of a volume by name: start, one for every twelve rays, end."""
    messages = []
    for cut in range(cuts):
        for number in range(1, rays + 1):
            first, last = number == 1, number == rays
            status = (3 if cut == 0 else 0) if first else (4 if cut == cuts - 1 else 2) if last else 1
            messages.append(
                level2_ray(
                    number,
                    elevation_number=cut + 1,
                    status=status,
                    elevation=0.5 + cut,
                    milliseconds=(cut * rays + number) * 100,
                    station=station,
                    place=place,
                )
            )
    groups = [messages[start : start + rays_a_chunk] for start in range(0, len(messages), rays_a_chunk)]
    metadata = record([bytes(2432)] * 3)
    contents = [level2_header(station) + metadata, *(record(group) for group in groups)]
    kinds = ["S", *("I" for _ in groups[:-1]), "E"]
    return [
        (f"20190609-222500-{number:03d}-{kind}", data)
        for number, (kind, data) in enumerate(zip(kinds, contents, strict=True), start=1)
    ]
