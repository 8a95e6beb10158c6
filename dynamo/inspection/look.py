"""Inspect an input file for the work it causes, once for arrivals, triggers and the cost model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.nowcast import NowcastReader
from dynamo.inspection.blocks import BLOCK_LEAD_MIN, Blocks
from dynamo.inspection.facts import ALOFT_STEP_M, BLOCK_DBZ, InputFacts
from dynamo.inspection.size import check_size
from dynamo.radar.area import node_areas_km2
from dynamo.radar.geometry import beam_height_m
from dynamo.radar.hail.precursor import areas_aloft_km2, areas_below_km2, highest_beam_m

if TYPE_CHECKING:
    import xarray as xr

FORMAT = "casa-nowcast"
SWEEP_FORMAT, VOLUME_FORMAT = "radar-sweep", "radar-volume"
#: Larger grids are sampled at every k-th row, and the counts scaled up.
_SAMPLE_ROWS = 512
#: Grids are read in batches of up to this many values.
_TOGETHER_CELLS = 1 << 21


def inspect_input(path: Path, levels: Sequence[float]) -> InputFacts:
    """Read a file once and return what matters for triggers, plan and cost; the format is detected from the content.

    Parameters
    ----------
    path
        A CASA nowcast, or a radar sweep or volume of any format that `dynamo.formats.radar` reads.
    levels
        The levels, dBZ, of areas and crossings.

    Returns
    -------
    InputFacts
        Areas and crossings of grids with more than 512 rows are estimates from evenly spaced rows. A sweep or volume
        has one lead, the time of its first ray, the largest area and shape of its sweeps, and NaN as its maximum if
        there is no echo.

    Raises
    ------
    InputError
        If the file is none of these, is too incomplete to use, is much larger than its header declares, or is a
        nowcast with every value missing.
    """
    from dynamo.formats.radar.sniff import is_radar_file

    if is_radar_file(path):
        return inspect_radar(path, levels)
    grid = _inspect_hail_grid(path)
    return _inspect_nowcast(path, levels) if grid is None else grid


def inspect_inputs(paths: Sequence[Path], levels: Sequence[float]) -> InputFacts:
    """Return the combined facts of several files of one input.

    Radar files must belong to one volume. Independent files, such as hail grids, get the newest time and the largest
    shape, and no radar.

    Raises
    ------
    InputError
        As `inspect_input`, or if there are no files or their formats differ.
    """
    from dynamo.formats.radar.sniff import is_radar_file

    if not paths:
        raise InputError("no files to inspect", expected="one or more files")
    if len(paths) == 1:
        return inspect_input(paths[0], levels)
    if is_radar_file(paths[0]):
        return inspect_radar(paths, levels)
    each = [inspect_input(path, levels) for path in paths]
    formats = sorted({facts.format for facts in each})
    if len(formats) > 1:
        raise InputError(
            f"files in different formats: {', '.join(formats)}", where=paths[0], expected="files of one format"
        )
    newest = max(each, key=lambda facts: facts.issue_time)
    shape = max((facts.shape for facts in each), key=lambda size: size[0] * size[1])
    radars = {facts.radar for facts in each}
    return replace(newest, shape=shape, radar=radars.pop() if len(radars) == 1 else "")


def _inspect_hail_grid(path: Path) -> InputFacts | None:
    """Return the facts of a hail grid; None if the file is something else."""
    from dynamo.formats.hail_grid import FORMAT as HAIL_GRID
    from dynamo.formats.hail_grid import read_hail_grid
    from dynamo.formats.nowcast import opened

    with opened(path) as dataset:
        check_size(dataset, path)
        if getattr(dataset, "product", None) != HAIL_GRID:
            return None
    hail = read_hail_grid(path)
    return InputFacts(
        format=HAIL_GRID,
        issue_time=hail.time,
        leads=(0,),
        shape=hail.grid.shape,
        radar=hail.radars[0].name if len(hail.radars) == 1 else "",
    )


def inspect_radar(path: Path | Sequence[Path], levels: Sequence[float]) -> InputFacts:
    """Return the facts of a sweep or volume, of one file or several; see `inspect_input`."""
    from dynamo.formats.radar.read import read_volume

    volume = read_volume(path, moments=())
    areas = {float(level): 0.0 for level in levels}
    crossings = {float(level): 0 for level in levels}
    aloft = {float(level): np.zeros(1) for level in levels}
    low = {float(level): np.zeros(1) for level in levels}
    beams = [_beam(sweep) for sweep in volume.sweeps]
    top = float("nan")
    highest_gate_m = float("nan")
    shape = (0, 0)
    for sweep, (ground_m, heights_m) in zip(volume.sweeps, beams, strict=True):
        field = sweep["DBZH"].values
        shape = max(shape, field.shape, key=lambda size: size[0] * size[1])
        highest = float(np.fmax.reduce(field, axis=None))
        top = float(np.fmax(top, highest))
        gates = gate_areas_km2(sweep["azimuth"].values, sweep["range"].values, sweep.attrs["fixed_angle_deg"])
        highest_gate_m = float(np.fmax(highest_gate_m, heights_m[-1]))
        for level, area in areas.items():
            if highest >= level:
                inside = field >= level
                by_range = np.count_nonzero(inside, axis=0) * gates
                areas[level] = max(area, float(by_range.sum()))
                aloft[level] = _largest(aloft[level], areas_aloft_km2(by_range, heights_m, ALOFT_STEP_M))
                below = areas_below_km2(by_range, highest_beam_m(ground_m, beams), ALOFT_STEP_M)
                low[level] = _largest(low[level], below, goes_on=True)
                crossings[level] = max(crossings[level], int(_crossings(inside[np.newaxis], 1)[0]))
    return InputFacts(
        format=SWEEP_FORMAT if len(volume.sweeps) == 1 else VOLUME_FORMAT,
        issue_time=volume.time,
        leads=(0,),
        shape=shape,
        area_km2={level: (area,) for level, area in areas.items()},
        crossings={level: (count,) for level, count in crossings.items()},
        maximum_dbz=(top,),
        radar=volume.site.radar,
        aloft_km2={level: tuple(values.tolist()) for level, values in aloft.items()},
        low_km2={level: tuple(values.tolist()) for level, values in low.items()},
        top_m=None if np.isnan(highest_gate_m) else round(highest_gate_m, 1),
        flags=volume.flags,
        position=(round(volume.site.latitude_deg, 4), round(volume.site.longitude_deg, 4)),
        range_km=round(max(float(ground_m[-1]) for ground_m, _ in beams) / 1000.0, 1),
    )


def _beam(sweep: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ground ranges and heights of a sweep's gates, meters."""
    range_m, angle_deg = sweep["range"].values, sweep.attrs["fixed_angle_deg"]
    return range_m * np.cos(np.radians(angle_deg)), beam_height_m(range_m, angle_deg, sweep.attrs["altitude_m"])


def _largest(one: NDArray[np.float64], other: NDArray[np.float64], *, goes_on: bool = False) -> NDArray[np.float64]:
    """Return the elementwise maximum of two arrays, padded with zeros or with the last value."""
    size = max(one.size, other.size)
    first, second = (
        np.pad(row, (0, size - row.size), constant_values=row[-1] if goes_on else 0.0) for row in (one, other)
    )
    return np.maximum(first, second)


def gate_areas_km2(azimuth_deg: NDArray[Any], range_m: NDArray[Any], elevation_deg: float) -> NDArray[np.float64]:
    """Return the ground area of one gate at each range, km2, for rays of the usual spacing of the sweep."""
    spacing = float(np.median(np.diff(azimuth_deg))) if azimuth_deg.size > 1 else 1.0
    ground_km = np.asarray(range_m, dtype=np.float64) * np.cos(np.radians(elevation_deg)) / 1000.0
    areas: NDArray[np.float64] = ground_km * (ground_km[1] - ground_km[0]) * np.radians(spacing)
    return areas


def _inspect_nowcast(path: Path, levels: Sequence[float]) -> InputFacts:
    with NowcastReader(path) as reader:
        header = reader.header
        step = max(1, header.grid.nlat // _SAMPLE_ROWS)
        row_areas = node_areas_km2(header.grid) * step
        maxima: list[float] = []
        areas: dict[float, list[float]] = {float(level): [] for level in levels}
        crossings: dict[float, list[int]] = {float(level): [] for level in levels}
        blocks = Blocks(header.grid, step)
        # Small grids are processed together: one call each would cost more than the work itself.
        together = max(1, _TOGETHER_CELLS // (header.grid.nlat * header.grid.nlon))
        for first in range(0, header.leads, together):
            fields = reader.read_some(first, min(first + together, header.leads))
            tops = np.fmax.reduce(fields, axis=(1, 2))
            maxima += tops.tolist()
            sample = fields[:, step // 2 :: step]
            for lead in range(first, first + len(fields)):
                if lead % BLOCK_LEAD_MIN == 0:
                    strong = tops[lead - first] >= BLOCK_DBZ
                    blocks.add(lead, sample[lead - first] >= BLOCK_DBZ if strong else None)
            for level, area in areas.items():
                if not (tops >= level).any():
                    area.extend([0.0] * len(tops))
                    crossings[level] += [0] * len(tops)
                    continue
                inside = sample >= level
                area.extend((inside.sum(axis=2) @ row_areas[step // 2 :: step]).tolist())
                crossings[level] += _crossings(inside, step).tolist()
        implausible = header.implausible + reader.implausible
    if all(np.isnan(maxima)):
        raise InputError("every value is missing", where=path, expected="data in at least one lead")
    return InputFacts(
        format=FORMAT,
        issue_time=header.issue_time,
        leads=tuple(range(header.leads)),
        shape=header.grid.shape,
        area_km2={level: tuple(values) for level, values in areas.items()},
        crossings={level: tuple(values) for level, values in crossings.items()},
        maximum_dbz=tuple(maxima),
        flags=(f"implausible values left out: {implausible}",) if implausible else (),
        bounds=blocks.bounds,
        block_leads=tuple(blocks.leads),
        blocks_km2=blocks.areas_km2(),
    )


def _crossings(inside: NDArray[Any], step: int) -> NDArray[np.int64]:
    """Return the number of crossing grid edges of each grid in the stack ``inside``."""
    across = np.count_nonzero(inside[:, :, 1:] != inside[:, :, :-1], axis=(1, 2))
    if step > 1:
        # Sampled rows are not adjacent; storms have no preferred direction, so assume as many crossings between rows.
        return np.asarray(2 * step * across, dtype=np.int64)
    return np.asarray(across + np.count_nonzero(inside[:, 1:] != inside[:, :-1], axis=(1, 2)), dtype=np.int64)
