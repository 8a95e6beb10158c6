"""Module `plot`: reflectivity images that look like the original ones."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.errors import DynamoError
from dynamo.modules.numbers import GRIDS, IMPLAUSIBLE


def _run(call: Call) -> dict[str, float]:
    from dynamo.files import write_bytes
    from dynamo.formats.png import encode_reflectivity
    from dynamo.modules.grids import paired
    from dynamo.times import to_iso

    grids = size = implausible = 0
    for grid, target in paired(call, "png"):
        nodes = grid.header.grid
        # Image cells are centered on their nodes, so the image extends half a cell further.
        west, south = nodes.longitudes[0] - nodes.dlon_deg / 2, nodes.latitudes[0] - nodes.dlat_deg / 2
        east, north = nodes.longitudes[-1] + nodes.dlon_deg / 2, nodes.latitudes[-1] + nodes.dlat_deg / 2
        image = encode_reflectivity(
            grid.field,
            pixels_per_cell=call.parameters["pixels_per_cell"],
            smoothing_passes=call.parameters["smoothing_passes"],
            texts={
                "Title": f"Predicted reflectivity, lead {grid.lead} min",
                "issue_time": to_iso(grid.header.issue_time),
                "valid_time": to_iso(grid.valid_time),
                "bounds": f"{west:.6f},{south:.6f},{east:.6f},{north:.6f}",
                "implausible_values": str(grid.header.implausible),
            },
        )
        write_bytes(target, image)
        grids += 1
        implausible += grid.header.implausible
        size += len(image)
    return {"grids": float(grids), "bytes": float(size), "implausible_values": float(implausible)}


def _check(call: Call) -> None:
    for path in call.outputs["png"]:
        with path.open("rb") as stream:
            head = stream.read(8)
            stream.seek(-8, 2)
            if head != b"\x89PNG\r\n\x1a\n" or stream.read(4) != b"IEND":
                raise DynamoError("not a complete image", where=path, expected="PNG")


MODULE = Module(
    name="plot",
    version="1",
    description="Plot reflectivity, 0-75 dBZ, transparent below 5 dBZ; one PNG per grid.",
    inputs=(
        Port(
            "grid",
            "casa-split|casa-nowcast",
            "Split files, or nowcast files with all leads.",
            many=True,
        ),
    ),
    outputs=(Port("png", "png", "One image per grid, in order.", many=True),),
    parameters=(
        Parameter(
            "pixels_per_cell", "int", "Width and height of a cell.", default=5, unit="pixel", minimum=1, maximum=20
        ),
        Parameter(
            "smoothing_passes",
            "int",
            "Passes of eight-neighbor smoothing.",
            default=3,
            unit="1",
            minimum=0,
            maximum=20,
        ),
    ),
    run=_run,
    check_outputs=_check,
    numbers=(GRIDS, Number("bytes", "Size of the images.", unit="B"), IMPLAUSIBLE),
    notes="The bounds (west, south, east, north) and times are in the image's text chunks.",
)
