"""Draw a nowcast for people: storm contours over the reflectivity, at several leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
#: A panel cannot show more nodes than this; the reflectivity below the contours is thinned.
_MAX_SIDE = 900
_KM_PER_DEG = 111.2
#: The view holds the largest polygons that make up this share of the storm area, and is at least this wide.
_MAIN_SHARE = 0.95
_LEAST_VIEW_DEG = 0.5


def draw_storms(
    nowcast: Path, contours: Mapping[int, Path], target: Path, *, leads: Sequence[int] = (0, 10, 20, 30)
) -> None:
    """Draw one panel per lead and write a PNG atomically.

    Parameters
    ----------
    nowcast
        The nowcast file: the reflectivity.
    contours
        Lead to the GeoJSON file of its contours.
    target
        The picture.
    leads
        Leads to show, minutes; those not in the nowcast are left out.

    Raises
    ------
    InputError
        If the nowcast has none of the leads.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with NowcastReader(nowcast) as reader:
        header = reader.header
        shown = [lead for lead in leads if lead < header.leads and lead in contours]
        if not shown:
            raise InputError("none of the requested leads found", where=nowcast, expected=f"one of {list(leads)}")
        grid = header.grid
        columns = min(2, len(shown))
        rows = -(-len(shown) // columns)
        view = _focus([contours[lead] for lead in shown], grid)
        width_km, height_km = view.size_km
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
        rows_shown = slice(*np.searchsorted(grid.latitudes, (view.south, view.north)))
        columns_shown = slice(*np.searchsorted(grid.longitudes, (view.west, view.east)))
        step = max(
            1, -(-max(rows_shown.stop - rows_shown.start, columns_shown.stop - columns_shown.start) // _MAX_SIDE)
        )
        cut = (slice(rows_shown.start, rows_shown.stop, step), slice(columns_shown.start, columns_shown.stop, step))
        seen: dict[float, str] = {}
        mesh: Any = None
        for panel, lead in zip(panels, shown, strict=False):
            field = reader.read(lead)[cut]
            mesh = panel.pcolormesh(
                grid.longitudes[cut[1]],
                grid.latitudes[cut[0]],
                np.ma.masked_invalid(field),
                cmap=colours,
                norm=norm,
                shading="nearest",
                alpha=0.75,
                rasterized=True,
            )
            count = _draw_polygons(panel, contours[lead], seen)
            _decorate(panel, view)
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


def _decorate(panel: Axes, view: _View) -> None:
    panel.set_xlim(view.west, view.east)
    panel.set_ylim(view.south, view.north)
    panel.set_aspect(float(1 / np.cos(np.radians((view.south + view.north) / 2))))
    panel.grid(color="#00000033", linewidth=0.5)
    panel.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}°{'W' if value < 0 else 'E'}")
    panel.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}°{'S' if value < 0 else 'N'}")
    panel.tick_params(labelsize=9)
    for name, (latitude, longitude) in TOWNS.items():
        if view.south < latitude < view.north and view.west < longitude < view.east:
            panel.plot(longitude, latitude, "o", color="#333333", markersize=3)
            panel.annotate(
                name,
                (longitude, latitude),
                xytext=(4, 3),
                textcoords="offset points",
                fontsize=8,
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "#ffffffb0", "edgecolor": "none"},
            )
    _scale_bar(panel, view)


def _scale_bar(panel: Axes, view: _View) -> None:
    width_km, _ = view.size_km
    wanted = width_km / 5
    length = max(nice * 10**power for power in range(-1, 5) for nice in (1, 2, 5) if nice * 10**power <= wanted)
    span = view.east - view.west
    left, bottom = view.west + 0.04 * span, view.south + 0.04 * (view.north - view.south)
    box = {"boxstyle": "round,pad=0.2", "facecolor": "#ffffffc0", "edgecolor": "none"}
    panel.plot([left, left + length / width_km * span], [bottom, bottom], color="black", linewidth=3)
    panel.annotate(f"{length:g} km", (left, bottom), xytext=(0, 4), textcoords="offset points", fontsize=9, bbox=box)


@dataclass(frozen=True)
class _View:
    """The visible part of the domain, degrees."""

    west: float
    south: float
    east: float
    north: float

    @property
    def size_km(self) -> tuple[float, float]:
        """Width in the middle, and height."""
        middle = np.radians((self.south + self.north) / 2)
        width = (self.east - self.west) * _KM_PER_DEG * float(np.cos(middle))
        return width, (self.north - self.south) * _KM_PER_DEG


def _focus(files: Sequence[Path], grid: LatLonGrid) -> _View:
    """Return the view around the largest polygons that make up most of the storm area; everything if there are none."""
    whole = _View(
        *(float(edge) for edge in (grid.longitudes[0], grid.latitudes[0], grid.longitudes[-1], grid.latitudes[-1]))
    )
    areas: list[float] = []
    boxes: list[tuple[float, float, float, float]] = []
    for path in files:
        for feature in orjson.loads(path.read_bytes())["features"]:
            ring = np.asarray(feature["geometry"]["coordinates"][0])
            areas.append(feature["properties"]["area_km2"])
            boxes.append((*ring.min(axis=0), *ring.max(axis=0)))
    if not boxes:
        return whole
    order = np.argsort(areas)[::-1]
    enough = int(np.searchsorted(np.cumsum(np.asarray(areas)[order]), _MAIN_SHARE * sum(areas))) + 1
    main = np.asarray(boxes)[order[:enough]]
    west, south = main[:, :2].min(axis=0)
    east, north = main[:, 2:].max(axis=0)
    # A margin, and no panel narrower than half its other side.
    margin = 0.12 * max(east - west, north - south, _LEAST_VIEW_DEG)
    half_width = max((east - west) / 2, (north - south) / 4, _LEAST_VIEW_DEG / 2) + margin
    half_height = max((north - south) / 2, (east - west) / 4, _LEAST_VIEW_DEG / 2) + margin
    middle_x, middle_y = (west + east) / 2, (south + north) / 2
    return _View(
        max(whole.west, float(middle_x - half_width)),
        max(whole.south, float(middle_y - half_height)),
        min(whole.east, float(middle_x + half_width)),
        min(whole.north, float(middle_y + half_height)),
    )
