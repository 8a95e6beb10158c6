"""Damage files and take them as far as they go: what a run would publish from them must be possible weather.

`serve` runs in a process of its own, because a damaged file can crash a C library; see `test_damaged_files`.
"""

from __future__ import annotations

import math
import random
import shutil
import struct
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import orjson

from dynamo.alerts.hazards import read_products
from dynamo.errors import DynamoError
from dynamo.formats.composites import read_composite
from dynamo.formats.sounding import choose_sounding
from dynamo.inspection.look import inspect_input
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.radar.limits import HAIL_SIZE_MM, MOMENTS, RAIN_RATE_MM_H
from dynamo.times import is_plausible, parse_time, utc_now

#: Doubles and floats that mean harm.
_NUMBERS = (math.nan, math.inf, -math.inf, 1e38, -1e38, 1e-12, 1e300, 0.0, -1.0, 8499.0)
_EARTH_KM2 = 5.2e8


@dataclass(frozen=True)
class Original:
    """A good file, and the name of what is done with it."""

    chain: str
    path: Path


@dataclass(frozen=True)
class Outcome:
    """How far a damaged file got (``refused`` or ``published``), and what must not happen."""

    word: str
    problems: tuple[str, ...] = ()
    reason: str = ""


# -- damage


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return the content with one kind of damage, at a random place; headers are hit more often than their share."""
    data = bytearray(content)
    rng.choice(_KINDS)(data, rng)
    return bytes(data)


def _place(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(min(len(data), 2048) if rng.random() < 0.4 else len(data))


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 30))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    length = min(rng.choice((4, 64, 4096)), len(data) - start)
    data[start : start + length] = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length)))


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[-rng.choice((1, 4, 100, rng.randrange(1, len(data)))) :]


def _lose(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    del data[start : start + rng.choice((1, 512, 4096))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    start = _place(data, rng)
    data[start:start] = data[start : start + rng.choice((1, 512, 4096))]


def _append(data: bytearray, rng: random.Random) -> None:
    data += rng.choice((bytes(data), rng.randbytes(100), b"\0"))


def _number(data: bytearray, rng: random.Random) -> None:
    kind = rng.choice((">f", "<f", ">d", "<d"))
    size = struct.calcsize(kind)
    for _ in range(rng.choice((1, 1, 20))):
        start = _place(data, rng) // 4 * 4
        value = rng.choice(_NUMBERS)
        if len(data) >= start + size and not (kind[1] == "f" and 1e38 < abs(value) < math.inf):
            struct.pack_into(kind, data, start, value)


_KINDS: Sequence[Callable[[bytearray, random.Random], None]] = (
    _flip, _flip, _overwrite, _cut, _lose, _repeat, _append, _number, _number,
)  # fmt: skip


# -- what a run does with it


def take(original: Original, path: Path, folder: Path) -> Outcome:
    """Take a file through its chain in an empty folder."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            reason = ""
            problems = list(_CHAINS[original.chain](path, folder))
            word = "published"
        except DynamoError as error:
            problems, word, reason = [], "refused", str(error)
        except Exception:  # that is what is looked for
            problems, word = [traceback.format_exc()], "refused"
    return Outcome(word, (*problems, *(f"warning: {warning.message}" for warning in told)), reason)


def _radar(path: Path, folder: Path) -> Iterator[str]:
    facts = inspect_input(path, [45.0])
    yield from _outside("maximum", [value for value in facts.maximum_dbz if not math.isnan(value)], MOMENTS["DBZH"])
    yield from _outside("area", facts.area_km2[45.0], (0.0, _EARTH_KM2))
    yield from _times([facts.issue_time.isoformat()])
    hail, grid, areas = folder / "hail.nc", folder / "grid.nc", folder / "hmt_HAIL_CASA_x.geojson"
    execute(find_module("hail"), {"radar": [path]}, {"hail": [hail]}, {})
    execute(find_module("grid"), {"product": [hail]}, {"grid": [grid]}, {"spacing": 0.02, "max_range": 60.0})
    execute(find_module("hail_contour"), {"grid": [grid]}, {"geojson": [areas]}, {"decimals": 6})
    yield from _geojson(areas)


def _product(path: Path, folder: Path) -> Iterator[str]:
    grid, areas = folder / "grid.nc", folder / "hmt_HAIL_CASA_x.geojson"
    execute(find_module("grid"), {"product": [path]}, {"grid": [grid]}, {"spacing": 0.02, "max_range": 60.0})
    execute(find_module("hail_contour"), {"grid": [grid]}, {"geojson": [areas]}, {"decimals": 6})
    yield from _geojson(areas)


def _hail_grid(path: Path, folder: Path) -> Iterator[str]:
    inspect_input(path, [45.0])
    composite, areas = folder / "composite.nc", folder / "hmt_HAIL_CASA_x.geojson"
    execute(find_module("composite"), {"grids": [path]}, {"grid": [composite]}, {})
    execute(find_module("hail_contour"), {"grid": [composite]}, {"geojson": [areas]}, {"decimals": 6})
    yield from _geojson(areas)


def _nowcast(path: Path, folder: Path) -> Iterator[str]:
    facts = inspect_input(path, [45.0])
    names = [folder / f"mrt_STORM_CASA_{lead}_x.geojson" for lead in facts.leads]
    execute(find_module("contour"), {"grid": [path]}, {"geojson": names}, {"levels": [20.0, 45.0], "decimals": 7})
    pictures = [folder / f"{lead}.png" for lead in facts.leads]
    execute(find_module("plot"), {"grid": [path]}, {"png": pictures}, {"pixels_per_cell": 1})
    for name in names:
        yield from _geojson(name)


def _composite(path: Path, _folder: Path) -> Iterator[str]:
    composite = read_composite(path)
    rate = composite.rain_rate[np.isfinite(composite.rain_rate)]
    dbz = composite.relation.dbz(rate)
    yield from _outside("rain", [float(rate.max(initial=0)), float(rate.min(initial=0))], RAIN_RATE_MM_H)
    yield from _outside("dBZ", [float(dbz.max(initial=0)), float(dbz.min(initial=0))], MOMENTS["DBZH"])
    yield from _times([composite.valid_time.isoformat()])


def _sounding(path: Path, _folder: Path) -> Iterator[str]:
    chosen = choose_sounding(path, utc_now())
    yield from _outside("0 C", [chosen.zero_c_m, chosen.minus_20_c_m], (-1000.0, 15_000.0))


_CHAINS: Mapping[str, Callable[[Path, Path], Iterator[str]]] = {
    "radar": _radar,
    "radar-product": _product,
    "hail-grid": _hail_grid,
    "nowcast": _nowcast,
    "composite": _composite,
    "sounding": _sounding,
}


# -- what is possible


def _geojson(path: Path) -> Iterator[str]:
    found = orjson.loads(path.read_bytes())
    yield from _times([found["valid_time"], found["issue_time"]])
    count = found["implausible_values"]
    if not (isinstance(count, int) and count >= 0):
        yield f"{count!r} implausible values"
    for feature in found["features"]:
        properties = feature["properties"]
        yield from _outside("max_dbz", [properties.get("max_dbz", 0.0)], MOMENTS["DBZH"])
        yield from _outside("size_mm", [properties.get("size_mm") or 0.0], HAIL_SIZE_MM)
        yield from _outside("area_km2", [properties["area_km2"]], (0.0, _EARTH_KM2))
        for ring in feature["geometry"]["coordinates"]:
            yield from _outside("longitude", [point[0] for point in ring], (-180.0, 180.0))
            yield from _outside("latitude", [point[1] for point in ring], (-90.0, 90.0))
    read_products([path])


def _outside(name: str, values: Sequence[float], limits: tuple[float, float]) -> Iterator[str]:
    yield from (f"{name} {value!r}" for value in values if not limits[0] <= value <= limits[1])


def _times(texts: Sequence[str]) -> Iterator[str]:
    yield from (f"time {text}" for text in texts if not is_plausible(parse_time(text)))


def serve(pipe: Connection) -> None:
    """Answer (original, seed, folder) with an outcome until the pipe closes."""
    try:
        while True:
            original, seed, folder = pipe.recv()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            path = folder / original.path.name
            path.write_bytes(damaged(original.path.read_bytes(), random.Random(seed)))
            pipe.send(take(original, path, folder))
    except (EOFError, OSError):
        return
