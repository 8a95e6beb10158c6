"""Module `hail_contour`: areas of hail, and of hail sizes, as GeoJSON."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.errors import DynamoError
from dynamo.modules.numbers import CHECK_FLAG


def _run(call: Call) -> dict[str, float]:
    from dynamo.files import write_bytes
    from dynamo.formats.hail_geojson import encode_hail, trace_hail
    from dynamo.formats.hail_grid import read_hail_grid
    from dynamo.modules.examined import examine_geojson

    parameters = call.parameters
    hail = read_hail_grid(call.input("grid"))
    areas = trace_hail(
        hail,
        sorted(set(parameters["sizes"])),
        min_area_km2=parameters["min_area"],
        decimals=parameters["decimals"],
    )
    data = encode_hail(hail, areas)
    write_bytes(call.output("geojson"), data)
    examine_geojson(call, data, call.output("geojson").name)
    return {
        "polygons": float(sum(len(area.found) for area in areas)),
        "hail_km2": float(areas[0].found.area_km2.sum()),
    }


def _check(call: Call) -> None:
    path = call.output("geojson")
    with path.open("rb") as stream:
        head = stream.read(27)
        stream.seek(-2, 2)
        if head != b'{"type":"FeatureCollection"' or stream.read(2) != b"]}":
            raise DynamoError("not a complete FeatureCollection", where=path, expected="GeoJSON")


MODULE = Module(
    name="hail_contour",
    version="1",
    description="Trace areas of hail, and of hail of at least each size; a grid without hail gives no features.",
    inputs=(Port("grid", "hail-grid", "A grid of one radar, or a composite."),),
    outputs=(Port("geojson", "geojson", "The areas; usually named hmt_HAIL_CASA_{...}.geojson."),),
    parameters=(
        Parameter(
            "sizes",
            "floats",
            "Sizes to trace, in addition to hail of any size.",
            default=[5.0, 25.0, 50.0],
            unit="mm",
            minimum=1,
            maximum=200,
        ),
        Parameter("min_area", "float", "Omit smaller areas.", default=0.0, unit="km2", minimum=0, maximum=1e6),
        Parameter(
            "decimals",
            "int",
            "Decimal places of the coordinates; 5 is 1.1 m.",
            default=5,
            unit="1",
            minimum=3,
            maximum=8,
        ),
    ),
    run=_run,
    check_outputs=_check,
    numbers=(
        Number("hail_km2", "Area with hail of any size.", unit="km2"),
        Number("polygons", "Areas of all sizes."),
        CHECK_FLAG,
    ),
    notes="Outlines run halfway between nodes with and without hail. Sizes are given if band or volume allow "
    "(HSDA at S band, MESH of volumes).",
)
