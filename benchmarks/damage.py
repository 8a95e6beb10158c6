"""Checks of data against damage: what is found of each kind put into real files, and alarms on untouched ones."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from benchmarks.damage_files import open_sweep
from benchmarks.damage_kinds import SWEEPS
from benchmarks.report import show
from dynamo.checks.files import examine_file
from dynamo.checks.judging import SeriesMemory, judge
from dynamo.checks.model import CheckVerdict, Examination, Flag
from dynamo.checks.products import examine_product
from dynamo.errors import DynamoError
from dynamo.extras import need
from dynamo.formats.composites import read_composite
from dynamo.formats.geojson import encode_contours
from dynamo.formats.nowcast import NowcastHeader, write_nowcast
from dynamo.radar.contour import contours
from dynamo.radar.grid import LatLonGrid

_SWEEPS = {
    "KFWS": "radar/nexrad/KFWS20190609_222523.bin",
    "KLBB": "radar/nexrad/KLBB20160601_150025_V06",
    "KTLX": "radar/nexrad/KTLX20140101_000624.bin",
    "Terrey Hills": "radar/terrey_hills_sband/terrey_09.h5",
    "Monte Lema": "radar/monte_lema_cband/MLL2217907250U.003.nc",
    "CASA": "casa/addison.tx-20170329-071403.netcdf.gz",
}
_UNTOUCHED = (
    "radar/nexrad/K*",
    "radar/terrey_hills_sband/*.h5",
    "radar/monte_lema_cband/*.nc",
    "radar/boxpol_xband/*.mvol",
    "casa/*.netcdf.gz",
    "composites/mrms_20190610/*.grib2",
    "composites/meteoswiss_20160711/*.gif",
    "composites/bom_melbourne_20180616/*.nc",
)
_ALARMS = (Flag.SUSPECT, Flag.BAD, Flag.MISSING)
#: North, west of the grid of the leads: Texas in MRMS.
_TEXAS = (29.0, -101.0, 35.0, -94.0)
_Field = NDArray[np.float32]
_Case = tuple[str, str, str]


def run(data: Path | None) -> list[dict[str, Any]]:
    """Damage the real files in every way, and examine the untouched ones."""
    if data is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        cases = [
            *_damaged_sweeps(data, target),
            *_broken_files(data, target),
            *_damaged_grids(data, target),
            *_damaged_leads(data, target),
            *_damaged_products(data),
        ]
        files, alarms = _untouched(data)
    kinds: dict[str, list[_Case]] = {}
    for case in cases:
        kinds.setdefault(case[0], []).append(case)
    rows = []
    for kind, found in kinds.items():
        missed = [where for _, where, by in found if not by]
        by = ", ".join(sorted({name for _, _, names in found for name in names.split(", ") if name})[:4])
        rows.append((kind, len(found), len(found) - len(missed), by, ", ".join(missed)))
    whole = sum(not row[4] for row in rows)
    total, hits = len(cases), sum(bool(by) for _, _, by in cases)
    rows.append(
        (f"all: {whole} of {len(kinds)} kinds found in every file", total, hits, f"{100 * hits / total:.1f} %", "")
    )
    return [
        show("Damage put into real files", ("kind", "files", "found", "by", "missed in"), rows),
        show(
            "Untouched real files",
            ("files", "with an alarm", "share", "alarms"),
            [(files, len(alarms), f"{100 * len(alarms) / files:.1f} %", "; ".join(alarms)[:200])],
        ),
    ]


def _found(path: Path | list[Path], memory: SeriesMemory | None = None) -> str:
    """Return the names of the checks that find something, or that the file is refused; empty if nothing is found."""
    try:
        return _names(judge(examine_file(path), memory or SeriesMemory(), {}))
    except DynamoError:
        return "refused by the reader"


def _names(verdicts: list[CheckVerdict]) -> str:
    return ", ".join(sorted({verdict.check for verdict in verdicts if verdict.flag in _ALARMS}))


def _damaged_sweeps(data: Path, folder: Path) -> Iterator[_Case]:
    for radar, name in _SWEEPS.items():
        path = folder / Path(name).name
        whole = open_sweep(data / name)
        has = {"any"}
        has |= {"directions"} if whole.azimuth is not None else set()
        has |= {"rays", "times"} if whole.delay_s is not None else set()
        # In clear air there is no rain whose values could be wrong.
        has |= {"rain"} if radar != "KTLX" else set()
        has |= {"velocity"} if "VRADH" in whole.fields else set()
        for kind, (needs, damage) in SWEEPS.items():
            if needs in has:
                sweep = open_sweep(data / name)
                damage(sweep, np.random.default_rng(1))
                sweep.save(sweep, path)
                yield kind, radar, _found(path)


def _broken_files(data: Path, folder: Path) -> Iterator[_Case]:
    def cut(raw: bytearray) -> None:
        del raw[int(0.6 * len(raw)) :]

    def zeros(raw: bytearray) -> None:
        raw[len(raw) // 2 : len(raw) // 2 + 4096] = bytes(4096)

    def head(raw: bytearray) -> None:
        raw[:64] = bytes(range(64))

    kinds: Mapping[str, Callable[[bytearray], None]] = {
        "file cut off": cut,
        "a block of zeros in the file": zeros,
        "head overwritten": head,
    }
    files = {**_SWEEPS, "MRMS": "composites/mrms_20190610/PrecipRate_00.00_20190610-000000.grib2"}
    for kind, change in kinds.items():
        for radar, name in files.items():
            # A file without checksums, uncompressed, hides zeros among its zeros.
            if kind.startswith("a block") and radar in ("Terrey Hills", "Monte Lema", "MRMS"):
                continue
            raw = bytearray((data / name).read_bytes())
            change(raw)
            (folder / Path(name).name).write_bytes(raw)
            yield kind, radar, _found(folder / Path(name).name)
    chunks = sorted((data / "radar/nexrad_chunks/KLOT_20210729_123848").glob("*"))
    yield "chunks of a volume lost", "KLOT", _found([path for path in chunks if path.name[16:19] not in ("012", "013")])


def _grid_kinds(rng: Generator) -> Mapping[str, Callable[[_Field], _Field]]:
    def spikes(field: _Field) -> _Field:
        out = field.copy()
        rows, columns = np.nonzero(out >= 0)
        chosen = rng.integers(0, rows.size, max(40, rows.size // 2000))
        out[rows[chosen], columns[chosen]] = 90.0
        return out

    def repeated_rows(field: _Field) -> _Field:
        out = field.copy()
        row = int(np.argmax(np.count_nonzero(out > 0.2, axis=1)))
        out[row : row + 24] = out[row]
        return out

    def tile_lost(field: _Field) -> _Field:
        out = field.copy()
        row = int(np.argmax((out > 5.0).sum(axis=1) if (out > 5.0).any() else (out > 0.2).sum(axis=1)))
        out[row - row % 2 : row + out.shape[0] // 4, : 3 * out.shape[1] // 4] = np.nan
        return out

    def no_data(field: _Field) -> _Field:
        out = np.full_like(field, np.nan)
        # A packer needs two different values.
        out[0, :2] = 0.0
        return out

    return {
        "single nodes of 90 mm/h": spikes,
        "rows repeated": repeated_rows,
        "a tile lost": tile_lost,
        "rain all the same": lambda field: np.where(field > 0.2, np.float32(2.0), field),
        "one value everywhere": lambda field: np.where(np.isnan(field), field, np.float32(1.0)),
        "grid upside down": lambda field: field[::-1],
        "grid moved": lambda field: np.roll(field, (field.shape[0] // 6, field.shape[1] // 6), axis=(0, 1)),
        "no rain at all": lambda field: np.where(field > 0, np.float32(0.0), field),
        "no data": no_data,
        "rain ten times too weak": lambda field: field / np.float32(30.0),
    }


def _damaged_grids(data: Path, folder: Path) -> Iterator[_Case]:
    mrms = sorted((data / "composites/mrms_20190610").glob("*.grib2"))
    bom = sorted((data / "composites/bom_melbourne_20180616").glob("*.nc"))
    for source, (before, now), write in (("MRMS", mrms[:2], _write_grib), ("BoM", bom[:2], _write_bom)):
        memory = _knowing(examine_file(before))
        for kind, change in _grid_kinds(np.random.default_rng(2)).items():
            path = folder / now.name
            write(now, path, change)
            yield kind, source, _found(path, memory)
        write(before, folder / now.name, lambda field: field, now)
        yield "the field of the issue before", source, _found(folder / now.name, memory)


def _write_grib(source: Path, target: Path, change: Callable[[_Field], _Field], times_of: Path | None = None) -> None:
    pygrib = need("pygrib")
    with pygrib.open(str(source)) as file:
        message = file.message(1)
        field = np.asarray(message["values"], dtype=np.float32)
        changed = change(np.where(field < 0, np.float32(np.nan), field))
        message["values"] = np.where(np.isnan(changed), -3.0, changed)
        if times_of is not None:
            message["minute"] = 2
        target.write_bytes(message.tostring())


def _write_bom(source: Path, target: Path, change: Callable[[_Field], _Field], times_of: Path | None = None) -> None:
    target.write_bytes(source.read_bytes())
    with netCDF4.Dataset(target, "r+") as out:
        field = np.ma.filled(out["precipitation"][:].astype(np.float32), np.nan)
        out["precipitation"][:] = np.ma.masked_invalid(change(np.float32(10.0) * field) / 10.0)
        if times_of is not None:
            with netCDF4.Dataset(times_of) as other:
                for name in ("start_time", "valid_time"):
                    out[name][...] = other[name][...]


def _knowing(examination: Examination) -> SeriesMemory:
    """Return the memory of a series in which files like this one are usual."""
    memory = SeriesMemory()
    for _ in range(15):
        memory.learn(examination, [])
    return memory


def _frames(data: Path) -> tuple[NowcastHeader, list[_Field]]:
    """Return eight real frames, in dBZ, as the leads of a nowcast."""
    paths = sorted((data / "composites/mrms_20190610").glob("*.grib2"))[:8]
    composites = [read_composite(path, _TEXAS) for path in paths]
    grid: LatLonGrid = composites[0].grid
    fields = []
    for one in composites:
        with np.errstate(divide="ignore"):
            dbz = 10.0 * np.log10(300.0 * np.maximum(one.rain_rate, 1e-3) ** 1.4)
        fields.append(dbz.astype(np.float32))
    return NowcastHeader(grid, composites[0].valid_time, len(fields), 0.0), fields


def _damaged_leads(data: Path, folder: Path) -> Iterator[_Case]:
    header, fields = _frames(data)
    path = folder / "MERGE_DARTS_201906100000.nc"

    def found(leads: list[_Field]) -> str:
        write_nowcast(path, header, leads)
        return _found(path)

    if found(fields):
        raise AssertionError(f"an undamaged nowcast is found to be damaged: {found(fields)}")
    mixed = [fields[index] for index in (0, 1, 2, 3, 4, 5, 6, 7)]
    mixed[4] = np.ascontiguousarray(fields[4][::-1])
    yield "a lead upside down", "nowcast", found(mixed)
    yield "leads that are copies", "nowcast", found([fields[0]] * 4 + fields[4:])
    yield "a lead empty", "nowcast", found([*fields[:5], np.full_like(fields[5], -30.0), *fields[6:]])
    yield "a lead without data", "nowcast", found([*fields[:5], np.full_like(fields[5], np.nan), *fields[6:]])
    moved = [np.roll(field, 150, axis=1) if lead >= 3 else field for lead, field in enumerate(fields)]
    yield "leads moved", "nowcast", found(moved)


def _damaged_products(data: Path) -> Iterator[_Case]:
    header, fields = _frames(data)
    levels = [35.0, 45.0]
    found = contours(fields[0], header.grid, levels, min_points=4, min_area_km2=0.0, decimals=4)
    text = encode_contours(header, 0, found)
    rows = np.cos(np.deg2rad(header.grid.latitudes))[:, np.newaxis] * 1.112**2
    field_km2 = {level: float(((fields[0] >= level) * rows).sum()) for level in levels}

    def crossed(collection: Any) -> None:
        ring = max((feature["geometry"]["coordinates"][0] for feature in collection["features"]), key=len)
        middle = len(ring) // 2
        ring[1], ring[middle] = ring[middle], ring[1]

    def opened(collection: Any) -> None:
        collection["features"][0]["geometry"]["coordinates"][0].pop()

    def swapped(collection: Any) -> None:
        for feature in collection["features"]:
            for ring in feature["geometry"]["coordinates"]:
                ring[:] = [point[::-1] for point in ring]

    def half_lost(collection: Any) -> None:
        features = sorted(collection["features"], key=lambda feature: feature["properties"]["area_km2"])
        collection["features"] = features[: len(features) // 2]

    def grown(collection: Any) -> None:
        for feature in collection["features"]:
            for ring in feature["geometry"]["coordinates"]:
                x, y = ring[0]
                ring[:] = [[x + 1.5 * (a - x), y + 1.5 * (b - y)] for a, b in ring]

    def weak(collection: Any) -> None:
        collection["features"][0]["properties"]["max_dbz"] = 12.0

    def late(collection: Any) -> None:
        collection["features"][0]["properties"]["valid_time"] = "2031-01-01T00:00:00Z"

    def nothing(collection: Any) -> None:
        collection["features"][0]["geometry"] = None

    kinds: Mapping[str, Callable[[Any], None]] = {
        "a ring that crosses itself": crossed,
        "a ring not closed": opened,
        "latitude and longitude swapped": swapped,
        "half of the polygons lost": half_lost,
        "polygons too large": grown,
        "weaker than its level": weak,
        "another valid time": late,
        "a feature without geometry": nothing,
    }
    untouched = examine_product(json.loads(text), series="STORM", file="product", field_km2=field_km2)
    if alarm := _names(judge(untouched, SeriesMemory(), {})):
        raise AssertionError(f"an undamaged product is found to be damaged: {alarm}")
    for kind, change in kinds.items():
        collection = json.loads(text)
        change(collection)
        examined = examine_product(collection, series="STORM", file="product", field_km2=field_km2)
        yield kind, "contours", _names(judge(examined, SeriesMemory(), {}))


def _untouched(data: Path) -> tuple[int, list[str]]:
    """Return how many files there are, and those with an alarm; each is judged with what came before it known."""
    memory, alarms, count = SeriesMemory(), [], 0
    paths: list[Path | list[Path]] = [path for pattern in _UNTOUCHED for path in sorted(data.glob(pattern))]
    paths.append(sorted((data / "radar/nexrad_chunks/KLOT_20210729_123848").glob("*")))
    for path in paths:
        count += 1
        examination = examine_file(path)
        verdicts = judge(examination, memory, {})
        memory.learn(examination, verdicts)
        if names := _names(verdicts):
            alarms.append(f"{examination.file}: {names}")
    return count, alarms
