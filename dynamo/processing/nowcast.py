"""Compute a nowcast from a sequence of composites: read, estimate motion, advect the last frame, write the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.extras import need
from dynamo.formats.composites import BBox, Composite, check_bbox, crop, read_composite, read_valid_time
from dynamo.formats.nowcast import MAX_LEADS, NowcastHeader, write_nowcast
from dynamo.radar.extrapolation import advect
from dynamo.radar.grid import EARTH_RADIUS_KM, LatLonGrid
from dynamo.radar.motion import MotionField, estimate_motion
from dynamo.radar.zr import NO_ECHO_DBZ, ZRelation
from dynamo.times import to_iso

Method = Literal["lk", "persistence"]
METHODS: tuple[str, ...] = get_args(Method)

#: The motion is estimated from the frames within this time before the issue time.
WINDOW = timedelta(minutes=15)
#: Frames farther apart show different storms.
_MAX_GAP = timedelta(minutes=20)
#: Largest deviation of an interval between frames from the median.
_GAP_TOLERANCE = 0.25
#: A box is read with a margin that air of this speed crosses within the last lead, to know what moves in.
#: The minimum margin is for the motion, which a few echoes in a small box do not determine.
_INFLOW_KM_PER_MINUTE = 1.8
_LEAST_MARGIN_KM = 100.0
_KM_PER_DEGREE = math.radians(1.0) * EARTH_RADIUS_KM

#: Called with the current stage, the steps done, and their total number.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class MadeNowcast(NowcastHeader):
    """The header of a new nowcast, and how it was made.

    Parameters
    ----------
    source
        The name of the composites' reader.
    frame_times
        Valid times of the frames used for the motion, oldest first; the last is the issue time.
    method
        The requested method.
    relation
        The Z-R relation by which rain rate became dBZ.
    vectors
        Sparse motion vectors found; 0 means that the field stands still.
    speed_km_h
        Median speed of the motion where there is an echo, 0 without any.
    towards_deg
        Direction of the mean motion there, degrees clockwise from north.
    """

    source: str = ""
    frame_times: tuple[datetime, ...] = ()
    method: str = "lk"
    relation: ZRelation | None = None
    vectors: int = 0
    speed_km_h: float = 0.0
    towards_deg: float = 0.0


@dataclass(frozen=True)
class Sequenced:
    """A composite file with its valid time."""

    valid_time: datetime
    path: Path


def make_nowcast(
    paths: Sequence[Path],
    out: Path,
    *,
    leads: int = 30,
    bbox: BBox | None = None,
    relation: ZRelation | None = None,
    method: Method = "lk",
    compress: bool = False,
    progress: Progress | None = None,
) -> MadeNowcast:
    """Make a nowcast from composites and write it as a CASA nowcast file.

    Parameters
    ----------
    paths
        Composites of one service at even intervals, in any order. The nowcast is issued from the latest one; the
        motion is estimated from those of the 15 minutes before it (at least two).
    out
        The file to write, replaced atomically.
    leads
        Minutes to forecast; the file has one grid more, for the observation at lead 0.
    bbox
        South, west, north, east, degrees; the whole composite by default.
    relation
        Z-R relation for rain rate; by default that of the composites' producer.
    method
        ``lk``: advection along the motion by Lucas-Kanade optical flow; ``persistence``: nothing moves.
    compress
        Deflate the file.
    progress
        Called as work goes on, with the stage, the steps done and their number.

    Returns
    -------
    MadeNowcast
        Grid, issue time and number of grids, and how it was made.

    Raises
    ------
    InputError
        If the files are not a usable sequence; the message says which and why.
    MissingPartError
        If the libraries of the extra ``nowcast`` are not installed.
    """
    if not 1 <= leads < MAX_LEADS:
        raise InputError(f"{leads} leads", expected=f"1 to {MAX_LEADS - 1} minutes")
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}", expected=" or ".join(METHODS))
    if out.is_dir():
        raise InputError("is a directory", where=out, expected="the name of the nowcast file")
    if bbox is not None:
        check_bbox(bbox)
    need("cv2")
    tell = progress or _silent
    chosen = newest(sequence(paths))
    frames, last, used, implausible = _read(chosen, bbox and _with_inflow(bbox, leads), relation, tell)
    grid = last.grid
    if method == "lk":
        origin = chosen[0].valid_time
        motion = estimate_motion(
            frames,
            [(item.valid_time - origin).total_seconds() / 60.0 for item in chosen],
            done=lambda count, total: tell("motion", count, total),
        )
    else:
        motion = MotionField.still(grid.shape)
    target, rows, columns = crop(grid, bbox) if bbox else (grid, slice(None), slice(None))
    now = frames[-1]
    # Only the last frame is needed from here on; for CONUS, the others take most of the memory.
    del frames[:]
    speed, towards = _typical(motion, now, grid)
    made = MadeNowcast(
        grid=target,
        issue_time=chosen[-1].valid_time,
        leads=leads + 1,
        source=last.source,
        frame_times=tuple(item.valid_time for item in chosen),
        method=method,
        relation=used,
        vectors=motion.vectors,
        implausible=implausible,
        speed_km_h=speed,
        towards_deg=towards,
    )

    def grids() -> Iterator[NDArray[np.float32]]:
        for count, field in enumerate(advect(now, motion, leads, floor=NO_ECHO_DBZ), start=1):
            yield field[rows, columns]
            tell("leads", count, leads + 1)

    write_nowcast(out, made, grids(), compress=compress)
    return made


def sequence(paths: Sequence[Path]) -> list[Sequenced]:
    """Return the files by valid time, after checking that they are evenly spaced.

    Raises
    ------
    InputError
        For fewer than two files, two of the same time, a gap, frames too far apart, or a file that is not a
        composite.
    """
    if len(paths) < 2:
        raise InputError(
            f"{len(paths)} composite{'' if len(paths) == 1 else 's'}", expected="at least two, to see motion"
        )
    items = sorted((Sequenced(read_valid_time(path), path) for path in paths), key=lambda item: item.valid_time)
    gaps = [later.valid_time - earlier.valid_time for earlier, later in pairwise(items)]
    for gap, (earlier, later) in zip(gaps, pairwise(items), strict=True):
        if not gap:
            raise InputError(
                f"is valid at {to_iso(later.valid_time)}, as is {earlier.path}",
                where=later.path,
                expected="one composite per time",
            )
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps))
    for gap, (earlier, later) in zip(gaps, pairwise(items), strict=True):
        if abs(gap - usual) > _GAP_TOLERANCE * usual or gap > _MAX_GAP:
            raise InputError(
                f"is {gap} after {earlier.path.name}",
                where=later.path,
                expected=f"even intervals (here {usual}) of at most {_MAX_GAP}",
                hint="is a composite missing between them?",
            )
    return items


def newest(items: Sequence[Sequenced]) -> list[Sequenced]:
    """Return the items of the last `WINDOW`, at least two."""
    inside = [item for item in items if items[-1].valid_time - item.valid_time <= WINDOW]
    return list(items[-max(2, len(inside)) :])


def _read(
    chosen: Sequence[Sequenced], bbox: BBox | None, relation: ZRelation | None, tell: Progress
) -> tuple[list[NDArray[np.float32]], Composite, ZRelation, int]:
    """Return the frames in dBZ, the last composite, the relation used, and the number of values left out."""
    frames: list[NDArray[np.float32]] = []
    first: Composite | None = None
    implausible = 0
    for count, item in enumerate(chosen, start=1):
        composite = read_composite(item.path, bbox)
        implausible += composite.implausible
        if first is None:
            first = composite
        elif composite.grid != first.grid or composite.source != first.source:
            raise InputError(
                f"has a {_describe(composite)}",
                where=item.path,
                expected=f"that of {chosen[0].path.name}, a {_describe(first)}",
            )
        frames.append((relation or composite.relation).dbz(composite.rain_rate))
        tell("reading frames", count, len(chosen))
    if not np.isfinite(frames[-1]).any():
        raise InputError(
            "no data in the area" if bbox else "no data",
            where=chosen[-1].path,
            expected="at least one known cell",
        )
    return frames, composite, relation or composite.relation, implausible


def _describe(composite: Composite) -> str:
    grid = composite.grid
    return (
        f"{composite.source} grid of {grid.nlat} x {grid.nlon} nodes,"
        f" {grid.dlat_deg:g} x {grid.dlon_deg:g} degrees, from {grid.north_deg:g} N {grid.west_deg:g} E"
    )


def _with_inflow(bbox: BBox, leads: int) -> BBox:
    """Return the box plus the margin from which air may move in and in which motion is estimated."""
    south, west, north, east = bbox
    margin = max(_LEAST_MARGIN_KM, leads * _INFLOW_KM_PER_MINUTE) / _KM_PER_DEGREE
    widest = min(max(abs(south), abs(north)), 80.0)
    across = margin / math.cos(math.radians(widest))
    return (
        max(south - margin, -90.0),
        max(west - across, -180.0),
        min(north + margin, 90.0),
        min(east + across, 180.0),
    )


def _typical(motion: MotionField, frame: NDArray[np.float32], grid: LatLonGrid) -> tuple[float, float]:
    """Return the median speed, km/h, and the direction of motion, degrees, where there is an echo."""
    echo = frame[:: motion.step, :: motion.step] > NO_ECHO_DBZ
    velocity = motion.velocity[:, : echo.shape[0], : echo.shape[1]]
    if not motion.vectors or not echo.any():
        return 0.0, 0.0
    latitude = np.radians(grid.latitudes[:: motion.step])[:, None]
    east = (velocity[0] * grid.dlon_deg * np.cos(latitude))[echo] * _KM_PER_DEGREE * 60.0
    north = (velocity[1] * grid.dlat_deg)[echo] * _KM_PER_DEGREE * 60.0
    towards = math.degrees(math.atan2(float(east.mean()), float(north.mean()))) % 360.0
    return float(np.median(np.hypot(east, north))), towards


def _silent(_stage: str, _done: int, _total: int) -> None:
    pass
