"""Hail on the real cases, and whether it is where the polarimetric moments say: the table behind the README.

A "hail-like" gate has ZH >= 55 dBZ, ZDR < 1 dB and 0.70 < RHOHV < 0.97: a rough screen, not a truth label, the one of
the data's own description. The cases and what is expected of them are those of that description too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import netCDF4
import numpy as np
from numpy.typing import NDArray

from dynamo.errors import NotFoundError
from dynamo.formats.radar.model import Volume
from dynamo.formats.radar.read import read_volume
from dynamo.formats.radar_products import RadarProduct, SweepProduct
from dynamo.formats.sounding import choose_sounding
from dynamo.inspection.look import inspect_inputs
from dynamo.processing.hail import MOMENTS, fields, hail_product, temperatures_of
from dynamo.radar.hail.hsda import LOWER_BOUND_MM
from dynamo.radar.hail.regions import Region, find_regions
from dynamo.times import to_iso
from dynamo.triggers.spells import Precursor, PrecursorState

_SOUNDING = Path("soundings") / "current_sounding.txt"
#: Monte Lema's reflectivity before its clutter filter: what the filter removed by this much (dB) was clutter.
_UNFILTERED, _FILTERED_DB = "reflectivity_hh_clut", 6.0
_MIN_SIZE_GATES = 3
_GROWTH = ("nothing", "grows", "grows", "peak", "peak", "peak", "less", "less", "less", "nothing")


@dataclass(frozen=True)
class TruthRow:
    """One case: what was found, what was expected, and whether they agree."""

    case: str
    time: str
    sweeps: int
    #: Gates of the rough screen, and the share of them that were called hail; over all sweeps.
    hail_like: int
    covered: float
    hail_gates: int
    #: The sweep with most hail: its elevation, the area of its hail, and centre of its largest region.
    elevation_deg: float | None
    area_km2: float
    latitude_deg: float | None
    longitude_deg: float | None
    #: Lower bound of the largest HSDA size of three gates or more (S band), and the largest MESH and POSH; None where
    #: not computed.
    size_mm: float | None
    mesh_mm: float | None
    posh_percent: float | None
    removed: int
    expected: str
    agrees: bool
    #: Whether the precursor, as it is without settings, would start hail work on this; None where that is not asked.
    trigger: bool | None = None


def hail_truth(data: Path) -> list[TruthRow]:
    """Find the hail of every real case.

    Parameters
    ----------
    data
        The folder with ``radar/``, ``casa/`` and ``soundings/``.

    Raises
    ------
    NotFoundError
        If the folder does not hold the cases.
    """
    radar = data / "radar"
    if not radar.is_dir():
        raise NotFoundError("no radar cases", where=data, expected="a folder with radar/, casa/ and soundings/")
    sounding = data / _SOUNDING
    nexrad = radar / "nexrad"
    kfws = _find([nexrad / "KFWS20190609_222523.bin"], sounding)
    klbb = _find([nexrad / "KLBB20160601_150025_V06"], sounding)
    ktlx = _find([nexrad / "KTLX20140101_000624.bin"], sounding)
    lema_files = sorted((radar / "monte_lema_cband").glob("*.nc"))
    lema = _find(lema_files, sounding)
    aloft = [gates for sweep, gates in zip(lema.product.sweeps, lema.gates, strict=True) if sweep.fixed_angle_deg > 6]
    rows = [
        _row(
            "KFWS, Texas hailstorms",
            kfws,
            "hail where the screen says (>= 80 %)",
            kfws.like > 500 and kfws.covered >= 0.8,
        ),
        _row("KLBB, heavy rain", klbb, "none or nearly none", sum(klbb.gates) <= 3),
        _row("KTLX, clear air", ktlx, "nothing", sum(ktlx.gates) == 0),
        *_chunked(sorted((radar / "nexrad_chunks" / "KLOT_20210729_123848").iterdir()), sounding),
        *_growth(sorted((radar / "terrey_hills_sband").glob("*.h5")), sounding),
        _row("Monte Lema, Alpine storm", lema, "hail core aloft, above 6 degrees", min(aloft, default=0) >= 50),
        _clutter(lema_files, sounding),
    ]
    quiet = [("Bonn X band, rain", path) for path in sorted((radar / "boxpol_xband").iterdir())]
    # addison.tx-20170329-071008.netcdf.gz: the times of one storm.
    quiet += [
        (f"CASA Addison {path.name[-16:-12]}, rain", path) for path in sorted((data / "casa").glob("*.netcdf.gz"))
    ]
    for case, path in quiet:
        found = _find([path], sounding)
        rows.append(_row(case, found, "nothing", sum(found.gates) == 0))
    return rows


def hail_regions(product: RadarProduct, sweep: SweepProduct) -> list[Region]:
    """Return the hail regions of one sweep, the largest first."""
    return find_regions(
        sweep.index[sweep.values["hail_class"] > 0],
        azimuth_deg=sweep.azimuth_deg,
        range_m=sweep.range_m,
        elevation_deg=float(np.median(sweep.elevation_deg)),
        latitude_deg=product.site.latitude_deg,
        longitude_deg=product.site.longitude_deg,
    )


@dataclass(frozen=True)
class _Found:
    """A volume with its product; hail gates by sweep, gates of the rough screen, share of those called hail."""

    volume: Volume
    product: RadarProduct
    gates: list[int]
    like: int
    covered: float
    trigger: bool | None


def _find(paths: Sequence[Path], sounding: Path) -> _Found:
    return _found(read_volume(paths, moments=MOMENTS), sounding, fires(paths))


def fires(paths: Sequence[Path]) -> bool:
    """Return whether the default precursor starts hail work on a sweep or volume, of one file or several."""
    precursor = Precursor()
    verdict, _, _ = precursor.judge(inspect_inputs(paths, precursor.levels), PrecursorState())
    return verdict.start


def _found(volume: Volume, sounding: Path, trigger: bool | None = None) -> _Found:
    # No sounding is of the day of a case: the stand-in does not say its time, and is taken.
    product = hail_product(volume, temperatures_of(choose_sounding(sounding, volume.time)))
    like = taken = 0
    for data, sweep in zip(volume.sweeps, product.sweeps, strict=True):
        moments = fields(data)
        if "ZDR" in moments and "RHOHV" in moments:
            screen = _screen(moments)
            like += int(screen.sum())
            taken += int((screen & (sweep.dense("hail_class") > 0)).sum())
    gates = [int(np.count_nonzero(sweep.values["hail_class"])) for sweep in product.sweeps]
    return _Found(volume, product, gates, like, taken / like if like else 1.0, trigger)


def _screen(moments: dict[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
    rhohv = moments["RHOHV"]
    return np.asarray((moments["DBZH"] >= 55) & (moments["ZDR"] < 1) & (rhohv > 0.70) & (rhohv < 0.97))


def _row(case: str, found: _Found, expected: str, agrees: bool) -> TruthRow:
    product, columns = found.product, found.product.columns
    most = product.sweeps[int(np.argmax(found.gates))]
    regions = hail_regions(product, most)
    sizes = np.concatenate([sweep.values["hail_size_class"] for sweep in product.sweeps]).astype(int)
    # A size that a gate or two have is noise.
    common = np.flatnonzero(np.bincount(sizes, minlength=len(LOWER_BOUND_MM)) >= _MIN_SIZE_GATES)
    size = LOWER_BOUND_MM[int(common[-1])] if common.size else 0.0
    return TruthRow(
        case=case,
        time=to_iso(found.volume.time.replace(microsecond=0)),
        sweeps=len(product.sweeps),
        hail_like=found.like,
        covered=round(found.covered, 3),
        hail_gates=sum(found.gates),
        elevation_deg=round(most.fixed_angle_deg, 1) if regions else None,
        area_km2=round(sum(region.area_km2 for region in regions), 1),
        latitude_deg=round(regions[0].latitude_deg, 3) if regions else None,
        longitude_deg=round(regions[0].longitude_deg, 3) if regions else None,
        size_mm=size if size > 0 else None,
        mesh_mm=None if columns is None else round(float(columns.values["MESH"].max(initial=0.0)), 1),
        posh_percent=None if columns is None else round(float(columns.values["POSH"].max(initial=0.0))),
        removed=sum(sum(sweep.counts.values()) - sweep.counts.get("examined", 0) for sweep in product.sweeps),
        expected=expected,
        agrees=bool(agrees),
        trigger=found.trigger,
    )


def _chunked(chunks: Sequence[Path], sounding: Path) -> list[TruthRow]:
    """KLOT as it arrived, and as one file: the same answer."""
    parts = _find(chunks, sounding)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "KLOT20210729_123848_V06"
        path.write_bytes(b"".join(chunk.read_bytes() for chunk in chunks))
        whole = _find([path], sounding)
    same = _same(parts.product, whole.product)
    return [
        _row(f"KLOT, from its {len(chunks)} chunks", parts, "hail in few places", 0 < sum(parts.gates) < 3000),
        _row("KLOT, one file", whole, "the same as from the chunks", same),
    ]


def _same(one: RadarProduct, other: RadarProduct) -> bool:
    if len(one.sweeps) != len(other.sweeps) or one.columns is None or other.columns is None:
        return False
    pairs = [(a.index, a.values, b.index, b.values) for a, b in zip(one.sweeps, other.sweeps, strict=True)]
    pairs.append((one.columns.index, one.columns.values, other.columns.index, other.columns.values))
    return all(
        np.array_equal(index, its) and all(np.array_equal(values[name], other[name], equal_nan=True) for name in values)
        for index, values, its, other in pairs
    )


def _growth(paths: Sequence[Path], sounding: Path) -> list[TruthRow]:
    """Terrey Hills, ten times: nothing, growing, the peak (fourth to sixth), less, nothing."""
    found = [_find([path], sounding) for path in paths]
    gates = [sum(one.gates) for one in found]
    peak = max(gates)
    rows = []
    for number, (word, one) in enumerate(zip(_GROWTH, found, strict=True)):
        good = {
            "nothing": gates[number] == 0,
            "grows": gates[number] > gates[number - 1],
            "peak": gates[number] >= 0.9 * peak,
            "less": 0 < gates[number] < peak / 2,
        }[word]
        rows.append(_row(f"Terrey Hills {paths[number].stem[-2:]}", one, word, good))
    return rows


def _clutter(paths: Sequence[Path], sounding: Path) -> TruthRow:
    """Monte Lema with the reflectivity from before its clutter filter: how much of the clutter is taken for hail."""
    volume = read_volume(paths, moments=MOMENTS)
    raw: dict[float, NDArray[np.float32]] = {}
    for path in paths:
        with netCDF4.Dataset(path) as dataset:
            order = np.argsort(np.asarray(dataset["azimuth"][:], dtype=np.float64) % 360.0, kind="stable")
            values = np.ma.filled(dataset[_UNFILTERED][:].astype(np.float32), np.nan)[order]
            raw[round(float(np.ma.filled(dataset["fixed_angle"][:], np.nan)[0]), 1)] = values
    angles = [round(float(sweep.attrs["fixed_angle_deg"]), 1) for sweep in volume.sweeps]
    dirty = [
        sweep.assign(DBZH=(("azimuth", "range"), raw[angle]))
        for sweep, angle in zip(volume.sweeps, angles, strict=True)
    ]
    found = _found(Volume(volume.site, volume.time, tuple(dirty), volume.flags), sounding)
    clutter = taken = 0
    for clean, angle, sweep in zip(volume.sweeps, angles, found.product.sweeps, strict=True):
        if angle < 1.5:
            # A comparison with NaN is false: what the filter removed altogether is clutter too.
            kept = clean["DBZH"].to_numpy() >= raw[angle] - _FILTERED_DB
            ground = (raw[angle] >= 40.0) & ~kept
            clutter += int(ground.sum())
            taken += int((ground & (sweep.dense("hail_class") > 0)).sum())
    expected = f"{taken} of {clutter} gates of clutter in the low sweeps are taken for hail (<= 2 %)"
    return _row("Monte Lema, clutter not filtered", found, expected, clutter > 1000 and taken <= 0.02 * clutter)
