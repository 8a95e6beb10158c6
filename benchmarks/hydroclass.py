"""Hydrometeor classes and hail beside csu_radartools and pyhail, read apart, in one run."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from benchmarks.report import Timing, console, show, time_in_turn
from dynamo.formats.radar.model import Site, Volume, make_sweep
from dynamo.formats.radar.read import read_volume
from dynamo.formats.radar_products import write_radar_product
from dynamo.formats.sounding import choose_sounding
from dynamo.processing.hail import (
    MOMENTS,
    classes_product,
    fields,
    gate_heights_m,
    hail_product,
    polar_sweep,
    temperatures_of,
)
from dynamo.radar.hail.hsda import hsda_class
from dynamo.radar.hail.hydroclass import classify
from dynamo.radar.hail.levels import Temperatures
from dynamo.radar.hail.mesh import columns

_CASES = (("KFWS, 2 sweeps", "KFWS20190609_222523.bin"), ("KLBB, 9 sweeps", "KLBB20160601_150025_V06"))
_COLUMNS = ("case", "peer ms", "DyNamo ms", "times faster")


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure what can be: the CASA-like sweeps always, the peers where they and the data are there."""
    results = [_sweeps()]
    if data is None or not (data / "radar").is_dir():
        console.print("hydroclass: needs --data with radar/; peers not measured")
        return results
    try:
        csu, hsda, mesh = (import_module(name) for name in ("csu_radartools.csu_fhc", "pyhail.hsda", "pyhail.mesh_ppi"))
    except ImportError as error:
        console.print(f"hydroclass: {error}; peers not measured")
        return results
    chosen = choose_sounding(data / "soundings" / "current_sounding.txt", datetime(2019, 6, 9, tzinfo=UTC))
    temperatures = temperatures_of(chosen)
    rows: list[tuple[str, float, float, float]] = []
    for case, name in _CASES:
        volume = read_volume(data / "radar" / "nexrad" / name, moments=MOMENTS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows += _beside(case, volume, temperatures, csu, hsda, mesh)
    results.append(show("Classes and hail beside csu_radartools and pyhail (reading apart)", _COLUMNS, rows))
    return results


def _beside(
    case: str, volume: Volume, temperatures: Temperatures, csu: Any, hsda: Any, mesh: Any
) -> list[tuple[str, float, float, float]]:
    sweeps = [(sweep, fields(sweep), gate_heights_m(sweep)) for sweep in volume.polarimetric()]
    band = volume.site.band

    def peer() -> None:
        for _, moments, heights in sweeps:
            temperature = np.broadcast_to(temperatures.at(heights), moments["DBZH"].shape)
            csu.csu_fhc_summer(
                dz=moments["DBZH"], zdr=moments["ZDR"], rho=moments["RHOHV"], T=temperature, band=band, use_temp=True
            )

    def every_gate() -> None:
        for _, moments, heights in sweeps:
            index = np.flatnonzero(moments["DBZH"].ravel() > -100)
            classify(
                moments["DBZH"].ravel()[index],
                moments["ZDR"].ravel()[index],
                moments["RHOHV"].ravel()[index],
                temperatures.at(heights)[index % heights.size],
                band=band,
            )

    timings = time_in_turn(
        {
            "csu": peer,
            "all": every_gate,
            "product": lambda: classes_product(volume, temperatures),
            "hail": lambda: hail_product(volume, temperatures),
        },
        rounds=3,
    )
    rows = [
        _row(f"{case}: classes of every gate with echo", timings, "csu", "all"),
        _row(f"{case}: quality control and classes >= 10 dBZ", timings, "csu", "product"),
        _row(f"{case}: all of module hail, against classes alone", timings, "csu", "hail"),
    ]
    marks = [((moments["DBZH"] >= 50), moments, heights) for _, moments, heights in sweeps]
    levels = (temperatures.melting_level_m, temperatures.minus25_level_m)

    def peer_sizes() -> None:
        for strong, moments, heights in marks:
            height = np.broadcast_to(heights, strong.shape)
            hsda.main(moments["DBZH"], moments["ZDR"], moments["RHOHV"], strong.astype(int), height, list(levels), [1])

    def sizes() -> None:
        for strong, moments, heights in marks:
            index = np.flatnonzero(strong)
            hsda_class(
                moments["DBZH"],
                moments["ZDR"],
                moments["RHOHV"],
                index,
                heights,
                melting_level_m=levels[0],
                minus25_level_m=levels[1],
            )

    rows.append(
        _row(f"{case}: HSDA of gates >= 50 dBZ", time_in_turn({"p": peer_sizes, "o": sizes}, rounds=3), "p", "o")
    )
    beams = [polar_sweep(sweep) for sweep in volume.sweeps]
    if len(beams) >= 5:
        arguments = (
            [beam.dbz for beam in beams],
            [beam.elevation_deg for beam in beams],
            [beam.azimuth_deg for beam in beams],
            [beam.range_m for beam in beams],
            volume.site.altitude_m,
            [temperatures.melting_level_m, temperatures.minus20_level_m],
        )
        candidates: Mapping[str, Callable[[], object]] = {
            "p": lambda: mesh.main(*arguments, radar_band=band),
            "o": lambda: columns(
                beams,
                altitude_m=volume.site.altitude_m,
                melting_level_m=temperatures.melting_level_m,
                minus20_level_m=temperatures.minus20_level_m,
                band=band,
            ),
        }
        rows.append(_row(f"{case}: SHI, POSH, MESH", time_in_turn(candidates, rounds=3), "p", "o"))
    return rows


def _row(name: str, timings: Mapping[str, Timing], peer: str, ours: str) -> tuple[str, float, float, float]:
    return name, timings[peer].wall_ms, timings[ours].wall_ms, timings[peer].wall_ms / timings[ours].wall_ms


def _sweeps() -> dict[str, Any]:
    """The hail of one CASA-like sweep of 360 x 1920 gates, from arrays to the written product."""
    stand_in = temperatures_of(choose_sounding(None, datetime(2019, 6, 9, tzinfo=UTC)))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "hail.nc"
        for name, median_dbz in (("quiet", None), ("widespread, 33 dBZ in the mean", 33.0)):
            volume = _casa_like(median_dbz)
            product = hail_product(volume, stand_in)
            start = time.perf_counter()
            write_radar_product(target, product)
            written = (time.perf_counter() - start) * 1000
            timing = time_in_turn({"hail": lambda volume=volume: hail_product(volume, stand_in)})["hail"]  # type: ignore[misc]
            examined = product.sweeps[0].counts["examined"]
            rows.append((name, examined, timing.wall_ms, written, target.stat().st_size / 1000))
    return show(
        "Hail of one sweep of 360 x 1920 gates (X band)", ("sweep", "gates examined", "find ms", "write ms", "kB"), rows
    )


def _casa_like(median_dbz: float | None) -> Volume:
    random = np.random.default_rng(1)
    shape = (360, 1920)
    if median_dbz is None:
        dbz = np.where(random.random(shape) < 0.02, 10.0, np.nan)
    else:
        blobs = ndimage.gaussian_filter(random.standard_normal(shape), (4, 30), mode=("wrap", "nearest"))
        dbz = median_dbz + 9 * blobs / blobs.std() + random.normal(0, 1, shape)
    site = Site("BENCH", 32.98, -96.84, 210.0, "X")
    when = datetime(2019, 6, 9, tzinfo=UTC)
    sweep = make_sweep(
        site=site,
        azimuth_deg=np.arange(360) + 0.5,
        elevation_deg=np.full(360, 2.0),
        range_m=31.25 * (np.arange(1920) + 0.5),
        time=np.full(360, np.datetime64("2019-06-09T00:00:00")),
        moments={
            "DBZH": dbz,
            "ZDR": 0.03 * (np.nan_to_num(dbz) - 10) + random.normal(0, 0.3, shape),
            "RHOHV": np.clip(0.985 + random.normal(0, 0.01, shape), 0, 1),
            "VRADH": 12 * np.sin(np.deg2rad(np.arange(360)))[:, None] + random.normal(0, 1, shape),
            "SNRH": np.full(shape, 20.0),
        },
        fixed_angle_deg=2.0,
        sweep_number=0,
        volume_time=when,
        file_format="simulated",
    )
    return Volume(site, when, (sweep,))
