"""Module `grid`: hail or hydrometeor classes of a radar's own polar grid onto a latitude/longitude grid."""

from __future__ import annotations

from dynamo.contract import Call, Module, Parameter, Port


def _run(call: Call) -> dict[str, float]:
    from dynamo.formats.hail_grid import write_hail_grid
    from dynamo.formats.radar_products import read_radar_product
    from dynamo.processing.hail_grids import GridOptions, grid_product

    parameters = call.parameters
    options = GridOptions(
        spacing_deg=parameters["spacing"],
        max_range_m=parameters["max_range"] * 1000.0,
        method=parameters["method"],
    )
    hail = grid_product(read_radar_product(call.input("product")), options)
    write_hail_grid(call.output("grid"), hail)
    return {
        "nodes": float(hail.grid.nlat * hail.grid.nlon),
        "hail_nodes": float((hail.fields["hail_class"] > 0).sum()),
    }


def _check(call: Call) -> None:
    from dynamo.formats.hail_grid import read_hail_grid

    read_hail_grid(call.output("grid"))


MODULE = Module(
    name="grid",
    version="1",
    description="Put hail and hydrometeor classes of a sweep or volume on a latitude/longitude grid (4/3 Earth).",
    inputs=(Port("product", "radar-hail|radar-classes", "What `hail` or `hydroclass` found."),),
    outputs=(Port("grid", "hail-grid", "CF NetCDF; {radar}-{YYYYmmdd}-{HHMMSS}.hc.cart.netcdf by custom."),),
    parameters=(
        Parameter(
            "spacing",
            "float",
            "Spacing of the nodes; 0 chooses 0.005 (500 m) up to 100 km of range, else 0.01.",
            default=0.0,
            unit="degrees",
            minimum=0,
            maximum=1,
        ),
        Parameter(
            "max_range",
            "float",
            "What lies further from the radar is left out.",
            default=230.0,
            unit="km",
            minimum=1,
            maximum=500,
        ),
        Parameter(
            "method",
            "str",
            "Hail and sizes: the maximum of the gates around a node, or the nearest gate. Classes: always the nearest.",
            default="maximum",
            choices=("maximum", "nearest"),
        ),
    ),
    run=_run,
    check_outputs=_check,
    notes="Nodes are whole multiples of the spacing, so that grids of several radars share them. Of a volume: the "
    "class of the lowest sweep that has one, hail if any sweep has, the largest size, the heights of the lowest beams.",
)
