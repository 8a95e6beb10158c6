"""Module `contour`: storm areas at and above reflectivity levels, as GeoJSON."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.errors import DynamoError
from dynamo.modules.numbers import CHECK_FLAG, GRIDS, IMPLAUSIBLE, MAX_DBZ, largest

#: Polygons with fewer points are left out by default.
_USUAL_POINTS = 12


def _run(call: Call) -> dict[str, float]:
    from math import isfinite

    from dynamo.files import write_bytes
    from dynamo.formats.geojson import encode_contours
    from dynamo.modules.examined import examine_contours
    from dynamo.modules.grids import paired
    from dynamo.radar.contour import contours

    parameters = call.parameters
    levels = list(dict.fromkeys(parameters["levels"]))
    polygons = vertices = grids = implausible = 0
    area_km2, top = 0.0, float("-inf")
    for grid, target in paired(call, "geojson"):
        found = contours(
            grid.field,
            grid.header.grid,
            levels,
            min_points=parameters["min_points"],
            min_area_km2=parameters["min_area"],
            decimals=parameters["decimals"],
        )
        data = encode_contours(grid.header, grid.lead, found)
        write_bytes(target, data)
        whole = parameters["min_area"] == 0 and parameters["min_points"] <= _USUAL_POINTS
        examine_contours(call, grid, found, data, target.name, whole=whole)
        grids += 1
        area_km2 = max(area_km2, float(min(found, key=lambda level: level.level).area_km2.sum()))
        top = max(top, largest(grid.field))
        implausible += grid.header.implausible
        polygons += sum(len(level) for level in found)
        vertices += sum(len(level.points) for level in found)
    return {
        **({"max_dbz": top} if isfinite(top) else {}),
        "area_km2": area_km2,
        "grids": float(grids),
        "polygons": float(polygons),
        "vertices": float(vertices),
        "implausible_values": float(implausible),
    }


def _check(call: Call) -> None:
    for path in call.outputs["geojson"]:
        with path.open("rb") as stream:
            head = stream.read(27)
            stream.seek(-2, 2)
            if head != b'{"type":"FeatureCollection"' or stream.read(2) != b"]}":
                raise DynamoError("not a complete FeatureCollection", where=path, expected="GeoJSON")


MODULE = Module(
    name="contour",
    version="1",
    description="Trace storm areas at and above reflectivity levels; one GeoJSON file per grid.",
    inputs=(
        Port(
            "grid",
            "casa-split|casa-nowcast",
            "Split files, or nowcast files with all leads.",
            many=True,
        ),
    ),
    outputs=(Port("geojson", "geojson", "One file per grid, in order.", many=True),),
    parameters=(
        Parameter("levels", "floats", "Levels to trace.", default=[45.0], unit="dBZ", minimum=-30, maximum=90),
        Parameter(
            "min_points",
            "int",
            "Omit polygons whose exterior has fewer vertices.",
            default=_USUAL_POINTS,
            unit="1",
            minimum=3,
            maximum=100_000,
        ),
        Parameter(
            "min_area",
            "float",
            "Omit smaller polygons.",
            default=0.0,
            unit="km2",
            minimum=0,
            maximum=1e6,
        ),
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
        MAX_DBZ,
        Number("area_km2", "Area at or above the lowest level, of the grid where it is largest.", unit="km2"),
        GRIDS,
        Number("polygons", "Areas of all levels and grids."),
        Number("vertices", "Their vertices."),
        IMPLAUSIBLE,
        CHECK_FLAG,
    ),
    notes="Polygons are valid, counterclockwise, with holes, and closed at domain edges and around missing data.",
)
