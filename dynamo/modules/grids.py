"""Shared by `contour` and `plot`: one output for each input grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dynamo.contract import Call
from dynamo.errors import InputError
from dynamo.formats.split import LeadGrid, read_grids


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
        for grid in read_grids(path):
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
