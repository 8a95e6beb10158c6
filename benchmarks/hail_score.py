"""How well simulated hail is found: hail polygons against the simulator's truth.

``python -m benchmarks.hail_score`` simulates, runs every sweep in process and prints a table;
``python -m benchmarks.hail_score --truth DIR/truth.geojson FOLDER...`` scores polygons that some run has published.

Two scores, with the definitions of `dynamo.radar.skill` (Wilks):

* by core: a hit is a hail shaft in the range of the radar that a hail polygon comes within 1 km of; a miss is one
  without; a false alarm is a polygon that comes within 1 km of no shaft;
* by area: hits are km2 in shafts and polygons, misses in shafts only, false alarms in polygons only.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import shapely
import shapely.affinity
import shapely.geometry
from shapely.geometry.base import BaseGeometry

from benchmarks.report import console, machine, show
from dynamo.radar.skill import Contingency
from dynamo.times import parse_time

TOLERANCE_KM = 1.0
#: Shafts whose middle is nearer to the edge of the range than this are not asked for.
RANGE_KM, EDGE_KM = 60.0, 3.0
_KM_A_DEGREE = 111.2


@dataclass(frozen=True)
class Score:
    """The two scores, areas in tenths of km2."""

    cores: Contingency
    area: Contingency

    def __add__(self, other: Score) -> Score:
        return Score(self.cores + other.cores, self.area + other.area)


NOTHING = Score(Contingency(0, 0, 0, 0), Contingency(0, 0, 0, 0))


class Truth:
    """What the simulator wrote as ``truth.geojson``."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.radars = {radar["name"]: radar for radar in data["radars"]}
        self._start = parse_time(data["start"])
        first = data["radars"][0]
        self._origin = (first["longitude_deg"], first["latitude_deg"])
        self._slim = _KM_A_DEGREE * math.cos(math.radians(first["latitude_deg"]))
        self._cores: dict[datetime, dict[int, Mapping[str, Any]]] = {}
        for feature in data["features"]:
            core = feature["properties"]
            if core["hail"]:
                self._cores.setdefault(parse_time(core["time"]), {})[core["core"]] = core

    def plane(self, shape: BaseGeometry) -> BaseGeometry:
        """Return a shape in km east and north of the first radar."""
        east, north = self._origin
        return shapely.affinity.affine_transform(
            shape, (self._slim, 0, 0, _KM_A_DEGREE, -self._slim * east, -_KM_A_DEGREE * north)
        )

    def shafts(self, time: datetime) -> tuple[list[BaseGeometry], list[BaseGeometry]]:
        """Return the hail shafts of a time as circles in the plane: those that are sure, and those that may be there.

        The truth tells of whole minutes; a shaft that is in only one of the two around ``time`` came or went between.
        """
        minute = timedelta(minutes=1)
        before = self._start + (time - self._start) // minute * minute
        tellings = [self._cores.get(telling, {}) for telling in (before, before + minute)]
        sure: list[BaseGeometry] = []
        perhaps: list[BaseGeometry] = []
        for number in {**tellings[0], **tellings[1]}:
            core = tellings[0].get(number) or tellings[1][number]
            seconds = (time - parse_time(core["time"])).total_seconds()
            middle = self.plane(shapely.Point(core["longitude_deg"], core["latitude_deg"])).centroid
            moved = (middle.x + core["east_m_s"] * seconds / 1000, middle.y + core["north_m_s"] * seconds / 1000)
            circle = shapely.Point(moved).buffer(core["radius_km"], quad_segs=16)
            (sure if all(number in telling for telling in tellings) else perhaps).append(circle)
        return sure, perhaps

    def in_range(self, shaft: BaseGeometry, radars: Iterable[str]) -> bool:
        """Whether one of the radars should see a shaft."""
        places = (self.radars[name] for name in radars if name in self.radars)
        return any(
            self.plane(shapely.Point(place["longitude_deg"], place["latitude_deg"])).distance(shaft.centroid)
            <= RANGE_KM - EDGE_KM
            for place in places
        )


def score(collection: Mapping[str, Any], truth: Truth) -> Score:
    """Score one hail GeoJSON."""
    sure, perhaps = truth.shafts(parse_time(collection["valid_time"]))
    shafts = [*sure, *perhaps]
    wanted = [shaft for shaft in sure if truth.in_range(shaft, collection["radars"])]
    polygons = [
        truth.plane(shapely.geometry.shape(feature["geometry"]))
        for feature in collection["features"]
        if feature["properties"]["level"] == "hail"
    ]
    seen, every = shapely.union_all(polygons), shapely.union_all(shafts)
    near = seen.buffer(TOLERANCE_KM)
    hits = sum(near.intersects(shaft) for shaft in wanted) if polygons else 0
    falses = sum(polygon.distance(every) > TOLERANCE_KM for polygon in polygons) if shafts else len(polygons)
    asked = shapely.union_all(wanted)
    both, only, false = seen.intersection(asked).area, asked.difference(seen).area, seen.difference(every).area
    return Score(
        Contingency(int(hits), len(wanted) - int(hits), int(falses), 0),
        Contingency(round(10 * both), round(10 * only), round(10 * false), 0),
    )


def score_files(files: Iterable[Path], truth: Truth) -> tuple[int, Score]:
    """Score published files, or all of them in folders; returns how many there were."""
    count, total = 0, NOTHING
    for path in files:
        for file in sorted(path.rglob("hmt_HAIL_CASA_*.geojson")) if path.is_dir() else [path]:
            total += score(orjson.loads(file.read_bytes()), truth)
            count += 1
    return count, total


def run(data: Path | None, *, minutes: int = 5, seed: int = 1) -> list[dict[str, Any]]:
    """Simulate each regime and score every sweep."""
    from dynamo.formats.hail_geojson import encode_hail, trace_hail
    from dynamo.formats.radar.read import read_volume
    from dynamo.formats.sounding import choose_sounding
    from dynamo.processing.hail import MOMENTS, hail_product, temperatures_of
    from dynamo.processing.hail_grids import grid_product
    from dynamo.simulate.radar import RadarSimulator
    from dynamo.simulate.radar_storms import REGIMES

    del data
    rows = []
    for regime in REGIMES:
        simulator = RadarSimulator(
            regime, datetime(2019, 6, 10, 0, 20, tzinfo=UTC), sweeps_per_minute=1, minutes=minutes, seed=seed
        )
        truth, total, count = Truth(simulator.truth()), NOTHING, 0
        with tempfile.TemporaryDirectory(prefix="dynamo-hail-score-") as name:
            for sweep in simulator.sweeps():
                path = simulator.write(Path(name), sweep)
                volume = read_volume(path, moments=MOMENTS)
                grid = grid_product(hail_product(volume, temperatures_of(choose_sounding(None, volume.time))))
                total += score(orjson.loads(encode_hail(grid, trace_hail(grid))), truth)
                count += 1
                path.unlink()
        rows.append(_row(regime, count, total))
    return [_table(rows)]


def _row(label: str, count: int, total: Score) -> Sequence[object]:
    cores, area = total.cores, total.area
    return (
        label,
        count,
        cores.hits + cores.misses,
        *(_round(value) for value in (cores.pod, cores.far, cores.csi, area.pod, area.far, area.csi)),
        cores.false_alarms,
    )


def _round(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _table(rows: Sequence[Sequence[object]]) -> dict[str, Any]:
    return show(
        "simulated hail against its truth",
        ("weather", "files", "shafts", "POD", "FAR", "CSI", "area POD", "area FAR", "area CSI", "false alarms"),
        rows,
        f"By shaft: a hit is a shaft with a polygon within {TOLERANCE_KM:g} km, a false alarm a polygon without a shaft"
        " there. By area: km2.",
    )


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="published polygons")
    parser.add_argument("--truth", type=Path, help="truth.geojson of the simulator")
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    console.print(machine())
    if options.truth is None:
        run(None, minutes=options.minutes, seed=options.seed)
        return
    count, total = score_files(options.folders, Truth(orjson.loads(options.truth.read_bytes())))
    _table([_row("published", count, total)])


if __name__ == "__main__":
    main()
