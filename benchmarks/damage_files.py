"""Open real radar files, change what is in them, and write them again in their own format."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.extras import need
from dynamo.formats.radar.nexrad_rays import rays_of
from dynamo.formats.radar.nexrad_records import unpack_records

#: Our moments in each format.
_CASA = {
    "DBZH": "Reflectivity",
    "ZDR": "DifferentialReflectivity",
    "RHOHV": "CrossPolCorrelation",
    "PHIDP": "DifferentialPhase",
    "VRADH": "Velocity",
}
_CFRADIAL = {
    "DBZH": "reflectivity",
    "ZDR": "differential_reflectivity",
    "RHOHV": "uncorrected_cross_correlation_ratio",
    "PHIDP": "uncorrected_differential_phase",
    "VRADH": "velocity",
}
_NEXRAD = {"DBZH": "REF", "ZDR": "ZDR", "RHOHV": "RHO", "PHIDP": "PHI", "VRADH": "VEL"}


@dataclass
class DamagedSweep:
    """The lowest sweep of a file in the order of its rays; None where a format's rays cannot be changed here."""

    fields: dict[str, NDArray[np.float32]]
    save: Callable[[DamagedSweep, Path], None]
    azimuth: NDArray[np.float64] | None = None
    elevation: NDArray[np.float64] | None = None
    #: Seconds added to the time of each ray.
    delay_s: NDArray[np.float64] | None = None
    #: Positions of the rays to write.
    rays: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, dtype=np.intp))

    def __post_init__(self) -> None:
        self.rays = np.arange(self.fields["DBZH"].shape[0])


def _h5py() -> Any:
    return need("h5py", extra="hail")


def open_sweep(path: Path) -> DamagedSweep:
    """Return the lowest sweep of a CASA, ODIM, CfRadial, or NEXRAD file."""
    head = path.read_bytes()[:8]
    if head.startswith(b"\x1f\x8b"):
        return _open_casa(path)
    if head.startswith(b"AR2V"):
        return _open_nexrad(path)
    with _h5py().File(path) as file:
        return _open_odim(path) if "dataset1" in file else _open_cfradial(path)


def _open_casa(path: Path) -> DamagedSweep:
    data = gzip.decompress(path.read_bytes())
    source: Any = netCDF4.Dataset("in.nc", memory=data)
    source.set_auto_maskandscale(False)
    fields = {}
    for ours, theirs in _CASA.items():
        values = np.array(source[theirs][:], dtype=np.float32)
        values[values <= -900] = np.nan
        fields[ours] = values

    def save(sweep: DamagedSweep, target: Path) -> None:
        out: Any = netCDF4.Dataset("out.nc", "w", format="NETCDF3_CLASSIC", memory=2 * len(data))
        out.setncatts({name: source.getncattr(name) for name in source.ncattrs()})
        gates = sweep.fields["DBZH"].shape[1]
        sizes = {"Radial": sweep.rays.size, "Gate": gates}
        for name, dimension in source.dimensions.items():
            out.createDimension(name, sizes.get(name, len(dimension)))
        values: dict[str, Any] = {name: variable[:] for name, variable in source.variables.items()}
        for ours, theirs in _CASA.items():
            values[theirs] = np.where(np.isnan(sweep.fields[ours]), np.float32(-99900.0), sweep.fields[ours])
        assert sweep.azimuth is not None
        assert sweep.elevation is not None
        assert sweep.delay_s is not None
        values |= {"Azimuth": sweep.azimuth, "Elevation": sweep.elevation, "Time": values["Time"] + sweep.delay_s}
        for name, variable in source.variables.items():
            made = out.createVariable(name, variable.dtype, variable.dimensions, fill_value=False)
            made.setncatts({key: variable.getncattr(key) for key in variable.ncattrs()})
            part = values[name][sweep.rays] if variable.dimensions[:1] == ("Radial",) else values[name]
            made[:] = part[:, :gates] if variable.ndim == 2 else part
        target.write_bytes(gzip.compress(bytes(out.close()), 1))

    rays = fields["DBZH"].shape[0]
    return DamagedSweep(fields, save, source["Azimuth"][:].copy(), source["Elevation"][:].copy(), np.zeros(rays))


def _open_cfradial(path: Path) -> DamagedSweep:
    fields = {}
    with netCDF4.Dataset(path) as source:
        for ours, theirs in _CFRADIAL.items():
            fields[ours] = np.ma.filled(source[theirs][:].astype(np.float32), np.nan)

    def save(sweep: DamagedSweep, target: Path) -> None:
        target.write_bytes(path.read_bytes())
        with netCDF4.Dataset(target, "r+") as out:
            for ours, theirs in _CFRADIAL.items():
                out[theirs][:] = np.ma.masked_invalid(sweep.fields[ours])
            if sweep.elevation is not None:
                out["elevation"][:] = sweep.elevation
                out["azimuth"][:] = sweep.azimuth

    with netCDF4.Dataset(path) as source:
        azimuth, elevation = (np.array(source[name][:], dtype=np.float64) for name in ("azimuth", "elevation"))
    return DamagedSweep(fields, save, azimuth, elevation)


def _open_odim(path: Path) -> DamagedSweep:
    groups: dict[str, str] = {}
    fields = {}
    with _h5py().File(path) as source:
        for name, group in source["dataset1"].items():
            if not name.startswith("data"):
                continue
            what = group["what"].attrs
            quantity = what["quantity"].decode()
            if quantity in _NEXRAD:
                raw = group["data"][:]
                values = (raw * what["gain"] + what["offset"]).astype(np.float32)
                values[(raw == what["nodata"]) | (raw == what["undetect"])] = np.nan
                groups[quantity], fields[quantity] = f"dataset1/{name}", values

    def save(sweep: DamagedSweep, target: Path) -> None:
        target.write_bytes(path.read_bytes())
        with _h5py().File(target, "r+") as out:
            for quantity, name in groups.items():
                what = out[name]["what"].attrs
                raw = np.rint((sweep.fields[quantity] - what["offset"]) / what["gain"])
                out[name]["data"][:] = np.where(np.isnan(raw), what["nodata"], np.clip(raw, 1, 255)).astype(np.uint8)

    return DamagedSweep(fields, save)


def _open_nexrad(path: Path) -> DamagedSweep:
    whole = path.read_bytes()
    block = bytearray(b"".join(unpack_records(whole).blocks))
    # The head of each ray, in the order of `rays_of`, which gives the places of its moments.
    heads = _messages(bytes(block))
    rays = rays_of(bytes(block))[0]
    first = min(ray.elevation_number for ray in rays)
    cut = [(ray, head) for ray, (head, _) in zip(rays, heads, strict=True) if ray.elevation_number == first]
    ends = dict(heads)
    fields = {}
    for ours, theirs in _NEXRAD.items():
        moments = [ray.moments.get(theirs) for ray, _ in cut]
        if None in moments:
            continue
        gates = max(moment.gates for moment in moments if moment)
        values = np.full((len(cut), gates), np.nan, dtype=np.float32)
        for row, moment in enumerate(moments):
            assert moment is not None
            raw = np.frombuffer(block, _dtype(moment), moment.gates, moment.begin).astype(np.float32)
            values[row, : moment.gates] = np.where(raw < 2, np.nan, (raw - moment.offset) / moment.scale)
        fields[ours] = values

    def save(sweep: DamagedSweep, target: Path) -> None:
        changed = bytearray(block)
        assert sweep.azimuth is not None
        assert sweep.elevation is not None
        assert sweep.delay_s is not None
        for row, (ray, head) in enumerate(cut):
            for ours, values in sweep.fields.items():
                moment = ray.moments[_NEXRAD[ours]]
                top = 255 if moment.word_bytes == 1 else 65_535
                scaled = np.rint(values[row, : moment.gates] * moment.scale + moment.offset)
                raw = np.where(np.isnan(scaled), 0, np.clip(scaled, 2, top)).astype(_dtype(moment)).tobytes()
                changed[moment.begin : moment.begin + len(raw)] = raw
            milliseconds = ray.time_ms + round(1000 * float(sweep.delay_s[row]))
            day, rest = divmod(milliseconds, 86_400_000)
            struct.pack_into(">IH", changed, head + 4, rest, day + 1)
            struct.pack_into(">f", changed, head + 12, float(sweep.azimuth[row]))
            struct.pack_into(">f", changed, head + 24, float(sweep.elevation[row]))
        kept = set(sweep.rays.tolist())
        for row in sorted(set(range(len(cut))) - kept, reverse=True):
            head = cut[row][1]
            del changed[head - 28 : ends[head]]
        target.write_bytes(whole[:24] + bytes(changed))

    azimuth = np.array([ray.azimuth_deg for ray, _ in cut])
    elevation = np.array([ray.elevation_deg for ray, _ in cut])
    return DamagedSweep(fields, save, azimuth, elevation, np.zeros(len(cut)))


def _messages(block: bytes) -> list[tuple[int, int]]:
    """Return where the data of each ray begin and end; see `dynamo.formats.radar.nexrad_rays`."""
    found, place = [], 0
    while place + 28 <= len(block):
        size, _, kind = struct.unpack_from(">HBB", block, place + 12)
        if kind != 31:
            place += 2432
            continue
        start = place + 28
        found.append((start, start + size * 2 - 16))
        place = start + size * 2 - 16
    return found


def _dtype(moment: Any) -> Any:
    return np.dtype(np.uint8) if moment.word_bytes == 1 else np.dtype(">u2")
