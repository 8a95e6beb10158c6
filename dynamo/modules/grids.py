"""Shared by `contour` and `plot`: one output for each input grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dynamo.checks.examine import FieldsCollector, nowcast_series
from dynamo.contract import Call
from dynamo.errors import InputError
from dynamo.formats.split import LeadGrid, read_grids
from dynamo.radar.quality.fields import DBZ


def paired(call: Call, output: str) -> Iterator[tuple[LeadGrid, Path]]:
    """Yield each grid of the port ``grid`` with its file of the port ``output``, in order.

    Raises
    ------
    InputError
        If there are more or fewer grids than outputs.
    """
    outputs = iter(call.outputs[output])
    count = 0
    for path in call.inputs["grid"]:
        for grid in _examined(call, path):
            count += 1
            target = next(outputs, None)
            if target is None:
                raise InputError(
                    f"more grids than the {count - 1} files for output {output}",
                    where=path,
                    expected="one file per grid",
                )
            yield grid, target
    if next(outputs, None) is not None:
        raise InputError(
            f"{count} grids for {len(call.outputs[output])} files",
            where=f"output {output}",
            expected="one file per grid",
        )


def _examined(call: Call, path: Path) -> Iterator[LeadGrid]:
    """Yield the grids of a file; those of a whole nowcast are examined as `split` does it, whose files need it no more.

    Memory holds two of them.
    """
    first: LeadGrid | None = None
    collector = None
    values_left_out = cells = 0
    for grid in read_grids(path):
        if first is not None and path.name not in call.examined:
            if collector is None:
                collector = FieldsCollector(DBZ)
                collector.add(first.lead, first.field)
            collector.add(grid.lead, grid.field)
        first = grid if first is None else first
        values_left_out, cells = values_left_out + grid.header.implausible, cells + grid.field.size
        yield grid
    if first is not None and collector is not None:
        header = first.header
        examination = collector.examination(
            series=nowcast_series(header.grid),
            file=path.name,
            valid_at=header.issue_time,
            impossible=values_left_out / cells,
        )
        call.checks.append(examination.to_json())
