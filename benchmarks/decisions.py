"""``python -m benchmarks.decisions``: the figures behind docs/explanation/decisions.md that no other benchmark gives.

Some libraries are installed into an environment of their own (this needs a network). Imports are those of new
processes; times are processor seconds, which other work on the machine disturbs least.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.report import console, machine, show
from dynamo.formats.geojson import encode_contours
from dynamo.formats.nowcast import NowcastHeader
from dynamo.radar.contour import contours
from dynamo.radar.grid import LatLonGrid
from dynamo.simulate.storms import make_scene

#: Clients of leases at Chameleon: what is installed into an environment of its own, and what is imported of it.
#: python-chi imports blazarclient but does not declare it.
_CLIENTS = (
    (("python-blazarclient",), "blazarclient.client, blazarclient.v1.client"),
    (("python-chi", "python-blazarclient"), "chi, chi.lease"),
)
#: Readers of NEXRAD Level II, in this environment (`arm-pyart` and `xradar` come with the extras).
_READERS = ("dynamo.formats.radar.nexrad, dynamo.formats.radar.read", "xradar", "pyart")
_ENCODERS = """
import json, statistics, sys, time
import geojson, orjson
data = json.loads(open(sys.argv[1]).read())
objects = geojson.loads(json.dumps(data))
def ms(call):
    times = []
    for _ in range(5):
        start = time.process_time()
        call()
        times.append((time.process_time() - start) * 1000)
    return statistics.median(times)
def features():
    return geojson.FeatureCollection([
        geojson.Feature(id=f["id"], geometry=geojson.Polygon(f["geometry"]["coordinates"]), properties=f["properties"])
        for f in data["features"]
    ])
print(ms(lambda: orjson.dumps(data)), ms(lambda: json.dumps(data)), ms(lambda: geojson.dumps(features())))
"""


def main() -> None:
    console.print(machine())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        clients = [_client(root / packages[0], packages, modules) for packages, modules in _CLIENTS]
        show("Clients of leases", ("package", "packages in all", "installed MB", "import, CPU s"), clients)
        readers = [(name, _import_s(sys.executable, name)) for name in _READERS]
        show("Readers of NEXRAD", ("modules", "import, CPU s"), readers)
        show(
            "GeoJSON of widespread storms, five levels, 31 leads: milliseconds of CPU",
            ("MB", "orjson", "json", "geojson"),
            [_encoders(root)],
        )


def _client(folder: Path, packages: tuple[str, ...], modules: str) -> tuple[str, int, int, float]:
    python = _environment(folder, *packages)
    listed = _output(python, "-m", "pip", "list", "--format=freeze", "--exclude", "pip", "--exclude", "setuptools")
    (site,) = folder.glob("lib/python*/site-packages")
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return " + ".join(packages), len(listed.split()), round(size / 1e6), _import_s(python, modules)


def _encoders(root: Path) -> tuple[float, ...]:
    grid = LatLonGrid(north_deg=33.8, west_deg=-98.0, dlat_deg=0.01, dlon_deg=0.01, nlat=201, nlon=201)
    header = NowcastHeader(grid, datetime(2019, 6, 10, tzinfo=UTC), leads=31)
    scene = make_scene(grid, "wide", 30.0, seed=1)
    leads = range(header.leads)
    found = [contours(scene.field(float(lead)), grid, [35, 40, 45, 50, 55], min_points=3) for lead in leads]
    texts = [encode_contours(header, lead, found[lead]) for lead in leads]
    features = b",".join(text.partition(b'"features":[')[2].rpartition(b"]}")[0] for text in texts)
    path = root / "contours.geojson"
    path.write_bytes(b'{"type":"FeatureCollection","features":[' + features + b"]}")
    python = _environment(root / "encoders", "geojson", "orjson")
    times = map(float, _output(python, "-c", _ENCODERS, str(path)).split())
    return (path.stat().st_size / 1e6, *times)


def _environment(folder: Path, *packages: str) -> str:
    """Make a virtual environment with the packages and return its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages], check=True)
    return python


def _import_s(python: str, modules: str) -> float:
    """Return the processor seconds of a new process that imports the modules: the least of five."""
    times = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([python, "-W", "ignore", "-c", f"import {modules}"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return round(min(times), 2)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
