"""Contours and images of one nowcast, 31 x 201 x 201, in process on one core, beside plain libraries."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import contourpy
import matplotlib.image
import numpy as np
import orjson
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from skimage.measure import find_contours

from benchmarks.report import show, time_in_turn
from dynamo.formats.geojson import encode_contours
from dynamo.formats.png import encode_reflectivity
from dynamo.radar.contour import contours
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.storms import REGIMES

Stack = list[NDArray[np.float32]]
LEVELS = (35.0, 40.0, 45.0, 50.0, 55.0)


def run(data: Path | None) -> list[dict[str, Any]]:
    """Measure the three regimes."""
    rows = []
    for regime in REGIMES:
        simulator = NowcastSimulator(regime, (201, 201), datetime(2019, 6, 10, tzinfo=UTC), seed=1)
        header, stack = simulator.header(0), list(simulator.grids(0))

        def ours_contours(stack: Stack = stack, header: Any = header) -> int:
            return sum(
                len(encode_contours(header, lead, contours(field, header.grid, LEVELS)))
                for lead, field in enumerate(stack)
            )

        def ours_images(stack: Stack = stack) -> int:
            return sum(len(encode_reflectivity(field)) for field in stack)

        each = functools.partial(_sum_over, stack)
        timings = time_in_turn(
            {
                "contours": ours_contours,
                "images": ours_images,
                "contourpy": each(_plain_contourpy),
                "skimage": each(_skimage),
                "mpl contours": each(_matplotlib_contours),
                "mpl images": each(_matplotlib_image),
            },
            rounds=5 if regime != "wide" else 3,
        )
        ours, images = timings["contours"], timings["images"]
        rows.append(
            (
                regime,
                round(ours.wall_ms + images.wall_ms, 1),
                round(ours.cpu_ms + images.cpu_ms, 1),
                round(ours.wall_ms, 1),
                round(images.wall_ms, 1),
                round(timings["contourpy"].wall_ms / ours.wall_ms, 2),
                round(timings["skimage"].wall_ms / ours.wall_ms, 1),
                round(timings["mpl contours"].wall_ms / ours.wall_ms, 1),
                round(timings["mpl images"].wall_ms / images.wall_ms, 1),
            )
        )
    return [
        show(
            "31 x 201 x 201 nowcast: contours at 35-55 dBZ (five levels) and 31 images of 1005 x 1005, one core",
            (
                "regime",
                "all ms",
                "all CPU ms",
                "contours ms",
                "images ms",
                "contourpy+orjson /ours",
                "skimage /ours",
                "Matplotlib contourf /ours",
                "Matplotlib imsave /ours",
            ),
            rows,
            "Goals: wide <= 200 ms, clear <= 60 ms. The peers give bare rings: no filter, area, maximum, valid rings.",
        )
    ]


def _sum_over(stack: Stack, measure: Callable[[NDArray[np.float32]], int]) -> Callable[[], int]:
    return lambda: sum(map(measure, stack))


def _plain_contourpy(field: NDArray[np.float32]) -> int:
    generator = contourpy.contour_generator(
        z=field, name="serial", fill_type=contourpy.FillType.ChunkCombinedOffsetOffset
    )
    polygons: list[Any] = []
    for level in LEVELS:
        points, offsets, outer = (chunk[0] for chunk in cast("tuple[list[Any], ...]", generator.filled(level, np.inf)))
        if points is None:
            continue
        places = np.round(points * 0.01, 5)
        rings, groups = offsets.tolist(), outer.tolist()
        polygons += [
            [places[rings[r] : rings[r + 1]] for r in range(first, last)] for first, last in itertools.pairwise(groups)
        ]
    return len(orjson.dumps(polygons, option=orjson.OPT_SERIALIZE_NUMPY))


def _skimage(field: NDArray[np.float32]) -> int:
    lines = [np.round(line * 0.01, 5) for level in LEVELS for line in find_contours(field, level)]
    return len(orjson.dumps(lines, option=orjson.OPT_SERIALIZE_NUMPY))


def _matplotlib_contours(field: NDArray[np.float32]) -> int:
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    count = 0
    for level in LEVELS:
        if field.max() < level:
            continue
        found = axes.contourf(field, levels=[level, 200.0])
        rings = [np.round(np.asarray(ring) * 0.01, 5) for path in found.get_paths() for ring in path.to_polygons()]
        count += len(orjson.dumps(rings, option=orjson.OPT_SERIALIZE_NUMPY))
    return count


def _matplotlib_image(field: NDArray[np.float32]) -> int:
    pixels = np.repeat(np.repeat(field, 5, axis=0), 5, axis=1)
    stream = io.BytesIO()
    matplotlib.image.imsave(stream, pixels, vmin=0, vmax=75, cmap="viridis", origin="lower", format="png")
    return len(stream.getvalue())
