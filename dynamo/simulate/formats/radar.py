"""Formats of simulated radars, one entry each, with typical radar geometry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dynamo.files import write_bytes
from dynamo.formats.radar.casa_writer import CasaHeader, casa_name, write_casa
from dynamo.formats.radar.model import Band, Site
from dynamo.simulate.formats import cfradial, gamic, nexrad, odim
from dynamo.simulate.formats.scan import Scan

FormatName = Literal["casa", "nexrad", "nexrad-chunks", "odim", "cfradial", "gamic"]
Write = Callable[[Path, Site, str, Sequence[Scan]], list[Path]]


@dataclass(frozen=True)
class RadarFormat:
    """One format and the radars that use it.

    Attributes
    ----------
    description
        Help text.
    band
        Radar band.
    shape
        Rays and gates of a sweep.
    start_m, gate_m
        Start of the first gate; gate length.
    nyquist_m_s
        Nyquist velocity for folding.
    volumes
        Whether a file has all sweeps of a minute (True), one sweep (False), or either (None).
    write
        Function that writes sweeps of one radar (with its call sign) into a folder and returns the files.
    """

    description: str
    band: Band
    shape: tuple[int, int]
    start_m: float
    gate_m: float
    nyquist_m_s: float
    volumes: bool | None
    write: Write


def _casa(folder: Path, site: Site, call: str, scans: Sequence[Scan]) -> list[Path]:
    (scan,) = scans
    header = CasaHeader(
        site.radar, call, site.latitude_deg, site.longitude_deg, site.altitude_m,
        scan.gate_m, scan.start_m, scan.nyquist_m_s,
    )  # fmt: skip
    path = folder / casa_name(site.radar, scan.start)
    elevation = scan.azimuth_deg * 0 + scan.elevation_deg
    write_casa(path, header, scan.azimuth_deg, elevation, scan.seconds, scan.moments)
    return [path]


def _nexrad(folder: Path, site: Site, call: str, scans: Sequence[Scan]) -> list[Path]:
    data = nexrad.encode_volume(replace(site, radar=call), scans)
    return _written(folder / f"{call}{scans[0].start:%Y%m%d_%H%M%S}_V06", data)


def _nexrad_chunks(folder: Path, site: Site, call: str, scans: Sequence[Scan]) -> list[Path]:
    below = folder / f"{call}_{scans[0].start:%Y%m%d_%H%M%S}"
    chunks = nexrad.encode_chunks(replace(site, radar=call), scans)
    return [path for name, data in chunks for path in _written(below / name, data)]


def _odim(folder: Path, site: Site, call: str, scans: Sequence[Scan]) -> list[Path]:
    kind = "scan" if len(scans) == 1 else "pvol"
    return _written(folder / f"{call}_{scans[0].start:%Y%m%d_%H%M%S}.{kind}.h5", odim.encode(site, scans))


def _cfradial(folder: Path, site: Site, call: str, scans: Sequence[Scan]) -> list[Path]:
    first, last = (f"{time:%Y%m%d_%H%M%S}.{time.microsecond // 1000:03d}" for time in (scans[0].start, scans[-1].end))
    return _written(folder / f"cfrad.{first}_to_{last}_{call}_SUR.nc", cfradial.encode(site, scans))


def _gamic(folder: Path, site: Site, call: str, scans: Sequence[Scan]) -> list[Path]:
    data = gamic.encode(replace(site, radar=call), scans)
    return _written(folder / f"{call}_{scans[0].start:%Y-%m-%d--%H_%M_%S},00.mvol", data)


def _written(path: Path, data: bytes) -> list[Path]:
    write_bytes(path, data)
    return [path]


RADAR_FORMATS: Mapping[FormatName, RadarFormat] = {
    "casa": RadarFormat("CASA NetCDF, one sweep a file", "X", (360, 1920), 0.0, 31.25, 47.33564758, False, _casa),
    "nexrad": RadarFormat("NEXRAD Level II, a volume a file", "S", (720, 900), 2000.0, 250.0, 33.98, True, _nexrad),
    "nexrad-chunks": RadarFormat(
        "the same in the pieces of the real-time feed", "S", (720, 900), 2000.0, 250.0, 33.98, True, _nexrad_chunks
    ),
    "odim": RadarFormat("ODIM HDF5, a sweep or a volume a file", "C", (360, 600), 0.0, 250.0, 26.2, None, _odim),
    "cfradial": RadarFormat(
        "CfRadial 1 NetCDF, a sweep or a volume a file", "C", (360, 420), 0.0, 500.0, 9.625, None, _cfradial
    ),
    "gamic": RadarFormat("GAMIC HDF5, a sweep or a volume a file", "X", (360, 1000), 0.0, 100.0, 30.5235, None, _gamic),
}
