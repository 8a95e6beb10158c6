"""Module `hail_plot`: plot hydrometeor classes and hail sizes of a hail grid, with a legend."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.errors import DynamoError


def _run(call: Call) -> dict[str, float]:
    from dynamo.files import write_bytes
    from dynamo.formats.hail_grid import read_hail_grid
    from dynamo.formats.hail_png import encode_hail_image

    image = encode_hail_image(
        read_hail_grid(call.input("grid")),
        pixels_per_cell=call.parameters["pixels_per_cell"],
        legend=call.parameters["legend"],
    )
    write_bytes(call.output("png"), image)
    return {"bytes": float(len(image))}


def _check(call: Call) -> None:
    path = call.output("png")
    with path.open("rb") as stream:
        head = stream.read(8)
        stream.seek(-8, 2)
        if head != b"\x89PNG\r\n\x1a\n" or stream.read(4) != b"IEND":
            raise DynamoError("not a complete image", where=path, expected="PNG")


MODULE = Module(
    name="hail_plot",
    version="1",
    description="Plot hydrometeor classes, with hail by size on top, and a legend.",
    inputs=(Port("grid", "hail-grid", "A grid of one radar, or a composite."),),
    outputs=(Port("png", "png", "The image; usually named hca_{...}.png."),),
    parameters=(
        Parameter(
            "pixels_per_cell", "int", "Width and height of a cell.", default=3, unit="pixel", minimum=1, maximum=20
        ),
        Parameter("legend", "bool", "Add a legend below; without it, the image fits its bounds.", default=True),
    ),
    run=_run,
    check_outputs=_check,
    numbers=(Number("bytes", "Size of the image.", unit="B"),),
    notes="North is up. Gray areas are not covered by any radar; a cross marks a radar. The map's bounds (west, south, "
    "east, north) and pixel rows are in the image's text chunks.",
)
