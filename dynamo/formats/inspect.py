"""What an input file says of the work it will cause: the one look that arrivals, triggers and the cost model share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError
from dynamo.formats.nowcast import NowcastReader
from dynamo.radar.area import node_areas_km2
from dynamo.workflows.model import InputFacts

FORMAT = "casa-nowcast"
#: Larger grids are looked at through every k-th row; the counts are scaled up.
_SAMPLE_ROWS = 512


def inspect_input(path: Path, levels: Sequence[float]) -> InputFacts:
    """Read a nowcast file once and return what matters for triggers, plan and cost.

    Parameters
    ----------
    path
        A CASA nowcast file.
    levels
        The levels, dBZ, for which areas and crossings are wanted.

    Returns
    -------
    InputFacts
        Areas and crossings of grids with more than 512 rows are estimates from evenly spaced rows.

    Raises
    ------
    InputError
        If the file is not a complete nowcast, or every value of it is missing.
    """
    with NowcastReader(path) as reader:
        header = reader.header
        step = max(1, header.grid.nlat // _SAMPLE_ROWS)
        row_areas = node_areas_km2(header.grid) * step
        maxima: list[float] = []
        areas: dict[float, list[float]] = {float(level): [] for level in levels}
        crossings: dict[float, list[int]] = {float(level): [] for level in levels}
        for lead in range(header.leads):
            field = reader.read(lead)
            top = float(np.fmax.reduce(field, axis=None))
            maxima.append(top)
            sample = field[step // 2 :: step]
            sampled_areas = row_areas[step // 2 :: step]
            for level, area in areas.items():
                if not top >= level:
                    area.append(0.0)
                    crossings[level].append(0)
                    continue
                inside = sample >= level
                area.append(float(inside.sum(axis=1) @ sampled_areas))
                crossings[level].append(_crossings(inside, step))
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
    )


def _crossings(inside: NDArray[Any], step: int) -> int:
    across = int(np.count_nonzero(inside[:, 1:] != inside[:, :-1]))
    if step > 1:
        # Sampled rows are no neighbours; storms have no preferred direction, so count the columns' edges as many.
        return 2 * step * across
    return across + int(np.count_nonzero(inside[1:] != inside[:-1]))
