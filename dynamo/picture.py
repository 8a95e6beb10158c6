"""One picture of a nowcast for people: storm contours over the reflectivity, at several leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from dynamo.errors import InputError
from dynamo.files import replacing
from dynamo.formats.nowcast import NowcastReader
from dynamo.formats.png import COLOURS, TOP_DBZ, TRANSPARENT_BELOW_DBZ
from dynamo.radar.grid import LatLonGrid
from dynamo.times import to_iso

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Towns for orientation: latitude and longitude, degrees north and east.
TOWNS: Mapping[str, tuple[float, float]] = {
    "Abilene": (32.45, -99.73),
    "Austin": (30.27, -97.74),
    "Dallas": (32.78, -96.80),
    "Denton": (33.21, -97.13),
    "Fort Worth": (32.76, -97.33),
    "Houston": (29.76, -95.37),
    "Lubbock": (33.58, -101.86),
    "Midland": (32.00, -102.08),
    "Oklahoma City": (35.47, -97.52),
    "San Angelo": (31.46, -100.44),
    "San Antonio": (29.42, -98.49),
    "Shreveport": (32.53, -93.75),
    "Tyler": (32.35, -95.30),
    "Waco": (31.55, -97.15),
    "Wichita Falls": (33.91, -98.49),
}
_LINES = ("#1a1a1a", "#ffffff", "#00e5ff", "#ffea00", "#ff2bd6")
#: More nodes than this a panel cannot show; the reflectivity below the contours is thinned.
_MAX_SIDE = 900
_KM_PER_DEG = 111.2


def draw_storms(
    nowcast: Path, contours: Mapping[int, Path], target: Path, *, leads: Sequence[int] = (0, 10, 20, 30)
) -> None:
    """Draw one panel for each lead and write a PNG atomically.

    Parameters
    ----------
    nowcast
        The nowcast file: the reflectivity.
    contours
        Lead to the GeoJSON file of its contours.
    target
        The picture.
    leads
        Leads to show, minutes; those that the nowcast lacks are left out.

    Raises
    ------
    InputError
        If none of the leads is there.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with NowcastReader(nowcast) as reader:
        header = reader.header
        shown = [lead for lead in leads if lead < header.leads and lead in contours]
        if not shown:
            raise InputError("none of the wanted leads is there", where=nowcast, expected=f"one of {list(leads)}")
        grid = header.grid
        columns = min(2, len(shown))
        rows = -(-len(shown) // columns)
        width_km, height_km = _size_km(grid)
        height = 5.6 * rows * min(max(height_km / width_km, 0.5), 1.3) + 1.4
        figure = Figure(figsize=(5.6 * columns + 1.4, height), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
        bounds = [value for value, _ in COLOURS if value >= TRANSPARENT_BELOW_DBZ] + [TOP_DBZ + 5]
        colours = ListedColormap(
            [tuple(c / 255 for c in rgb) for value, rgb in COLOURS if value >= TRANSPARENT_BELOW_DBZ]
        )
        colours.set_bad("#c9c9c9")
        colours.set_under("#f4f2ec")
        norm = BoundaryNorm(bounds, colours.N)
        step = max(1, -(-max(grid.shape) // _MAX_SIDE))
        seen: dict[float, str] = {}
        mesh: Any = None
        for panel, lead in zip(panels, shown, strict=False):
            field = reader.read(lead)[::step, ::step]
            mesh = panel.pcolormesh(
                grid.longitudes[::step],
                grid.latitudes[::step],
                np.ma.masked_invalid(field),
                cmap=colours,
                norm=norm,
                shading="nearest",
                alpha=0.75,
                rasterized=True,
            )
            count = _draw_polygons(panel, contours[lead], seen)
            _decorate(panel, grid)
            label = "observed" if lead == 0 else f"in {lead} min"
            panel.set_title(
                f"{label}: {header.valid_time(lead):%H:%M} UTC, {count} storm polygons",
                loc="left",
                fontsize=11,
            )
        for panel in panels[len(shown) :]:
            panel.set_visible(False)
        figure.suptitle(
            f"DyNamo storm contours, nowcast issued {to_iso(header.issue_time)}",
            x=0.02,
            ha="left",
            fontsize=14,
        )
        handles = [
            Line2D([], [], color=colour, linewidth=2, label=f"{level:g} dBZ and above")
            for level, colour in sorted(seen.items())
        ]
        handles.append(Line2D([], [], color="#333333", marker="o", linestyle="", markersize=4, label="town"))
        legend = figure.legend(
            handles=handles, loc="outside lower center", ncol=len(handles), fontsize=10, facecolor="#9a9a9a"
        )
        legend.set_title("storm contours")
        bar = figure.colorbar(mesh, ax=panels.tolist(), ticks=bounds[:-1], fraction=0.03, pad=0.01)
        bar.set_label("reflectivity, dBZ")
        with replacing(target) as partial:
            figure.savefig(partial, dpi=110, format="png")


def _draw_polygons(panel: Axes, path: Path, seen: dict[float, str]) -> int:
    from matplotlib.collections import PolyCollection
    from matplotlib.patheffects import withStroke

    collection = orjson.loads(path.read_bytes())
    for level in collection["levels_dbz"]:
        seen.setdefault(level, _LINES[len(seen) % len(_LINES)])
        rings = [
            np.asarray(ring)
            for feature in collection["features"]
            if feature["properties"]["ReflectivityLevel"] == level
            for ring in feature["geometry"]["coordinates"]
        ]
        lines = PolyCollection(rings, facecolors="none", edgecolors=seen[level], linewidths=1.3)
        lines.set_path_effects([withStroke(linewidth=2.2, foreground="#00000055")])
        panel.add_collection(lines)
    return len(collection["features"])


def _decorate(panel: Axes, grid: LatLonGrid) -> None:
    west, east = grid.longitudes[0], grid.longitudes[-1]
    south, north = grid.latitudes[0], grid.latitudes[-1]
    panel.set_xlim(west, east)
    panel.set_ylim(south, north)
    panel.set_aspect(1 / np.cos(np.radians((south + north) / 2)))
    panel.grid(color="#00000033", linewidth=0.5)
    panel.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}°{'W' if value < 0 else 'E'}")
    panel.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}°{'S' if value < 0 else 'N'}")
    panel.tick_params(labelsize=9)
    for name, (latitude, longitude) in TOWNS.items():
        if south < latitude < north and west < longitude < east:
            panel.plot(longitude, latitude, "o", color="#333333", markersize=3)
            panel.annotate(
                name,
                (longitude, latitude),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "#ffffffb0", "edgecolor": "none"},
            )
    _scale_bar(panel, grid)


def _scale_bar(panel: Axes, grid: LatLonGrid) -> None:
    width_km, _ = _size_km(grid)
    wanted = width_km / 5
    length = max(nice * 10**power for power in range(-1, 5) for nice in (1, 2, 5) if nice * 10**power <= wanted)
    span = float(grid.longitudes[-1] - grid.longitudes[0])
    left = float(grid.longitudes[0]) + 0.04 * span
    bottom = float(grid.latitudes[0]) + 0.04 * float(grid.latitudes[-1] - grid.latitudes[0])
    box = {"boxstyle": "round,pad=0.2", "facecolor": "#ffffffc0", "edgecolor": "none"}
    panel.plot([left, left + length / width_km * span], [bottom, bottom], color="black", linewidth=3)
    panel.annotate(f"{length:g} km", (left, bottom), xytext=(0, 4), textcoords="offset points", fontsize=9, bbox=box)


def _size_km(grid: LatLonGrid) -> tuple[float, float]:
    middle = np.radians((grid.latitudes[0] + grid.latitudes[-1]) / 2)
    width = (grid.longitudes[-1] - grid.longitudes[0]) * _KM_PER_DEG * np.cos(middle)
    return float(width), float((grid.latitudes[-1] - grid.latitudes[0]) * _KM_PER_DEG)
