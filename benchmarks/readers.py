"""Reading radar files into the internal model, beside the plain library reading of the same file."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4

from benchmarks.report import show, time_in_turn
from dynamo.extras import need, quiet
from dynamo.formats.radar import read_volume

HAIL_MOMENTS = ("ZDR", "RHOHV", "PHIDP", "KDP", "SNRH")
_CASES = (
    ("CASA sweep, gzip", "casa/addison.tx-20170329-071403.netcdf.gz", "casa"),
    ("NEXRAD KFWS, 3 cuts", "radar/nexrad/KFWS20190609_222523.bin", "level2"),
    ("NEXRAD KLBB, 11 cuts", "radar/nexrad/KLBB20160601_150025_V06", "level2"),
    ("NEXRAD KTLX clear, 7 cuts", "radar/nexrad/KTLX20140101_000624.bin", "level2"),
    ("ODIM sweep", "radar/terrey_hills_sband/terrey_08.h5", "open_odim_datatree"),
    ("CfRadial sweep", "radar/monte_lema_cband/MLL2217907250U.002.nc", "open_cfradial1_datatree"),
    ("GAMIC sweep", "radar/boxpol_xband/2014-11-16--03_45_00,00.mvol", "open_gamic_datatree"),
)
_IMPORTS = ("dynamo.formats.radar.casa, dynamo.formats.radar.nexrad", "xradar", "pyart")


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure every format on its real file."""
    if data is None:
        return []
    rows = []
    for title, name, kind in _CASES:
        path = data / name
        candidates: dict[str, Callable[[], object]] = {
            "all": lambda path=path: read_volume(path, pair_doppler=False),
            "hail": lambda path=path: read_volume(path, moments=HAIL_MOMENTS),
            "dbz": lambda path=path: read_volume(path, moments=()),
        } | _plain(kind, path)
        with quiet():
            timings = time_in_turn(candidates, rounds=5)
        ours = timings["all"].wall_ms
        peers = [timings[peer].wall_ms if peer in timings else float("nan") for peer in ("netCDF4", "xradar", "pyart")]
        rows.append(
            (
                title,
                round(ours, 1),
                round(timings["hail"].wall_ms, 1),
                round(timings["dbz"].wall_ms, 1),
                *("-" if peer != peer else round(peer / ours, 2) for peer in peers),  # noqa: PLR0124
            )
        )
    return [
        show(
            "Reading radar files, milliseconds, warm process",
            ("file", "all moments", "hail moments", "DBZH only", "netCDF4 /ours", "xradar /ours", "Py-ART /ours"),
            rows,
            "Peers give the arrays of the file: no checks, order of rays, pairing of cuts, or flags. netCDF4 with the"
            " gzip of the standard library. xradar finds no sweep in KTLX.",
        ),
        show("Importing, seconds, new process", ("what", "seconds"), [(name, _import_s(name)) for name in _IMPORTS]),
    ]


def _plain(kind: str, path: Path) -> dict[str, Callable[[], object]]:
    if kind == "casa":
        return {"netCDF4": lambda: _casa_by_netcdf4(path)}
    xradar = need("xradar")
    if kind != "level2":
        return {"xradar": lambda: getattr(xradar.io, kind)(str(path)).load()}
    pyart = need("pyart")
    return {
        "xradar": lambda: xradar.io.open_nexradlevel2_datatree(str(path)).load(),
        "pyart": lambda: pyart.io.read_nexrad_archive(str(path), linear_interp=False),
    }


def _casa_by_netcdf4(path: Path) -> dict[str, Any]:
    with gzip.open(path) as stream, netCDF4.Dataset("sweep", memory=stream.read()) as dataset:
        return {name: variable[...] for name, variable in dataset.variables.items()}


def _import_s(name: str) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {name}"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return round(min(times), 2)
