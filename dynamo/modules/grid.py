"""Module `grid`: map hail or hydrometeor classes from a radar's polar grid to a latitude/longitude grid."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port


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
    description="Map hail and hydrometeor classes of a sweep or volume to a latitude/longitude grid (4/3 Earth).",
    inputs=(Port("product", "radar-hail|radar-classes", "Output of `hail` or `hydroclass`."),),
    outputs=(Port("grid", "hail-grid", "CF NetCDF; usually named {radar}-{YYYYmmdd}-{HHMMSS}.hc.cart.netcdf."),),
    parameters=(
        Parameter(
            "spacing",
            "float",
            "Node spacing; 0 selects 0.005 (500 m) for ranges up to 100 km, 0.01 beyond.",
            default=0.0,
            unit="degrees",
            minimum=0,
            maximum=1,
        ),
        Parameter(
            "max_range",
            "float",
            "Omit data further than this from the radar.",
            default=230.0,
            unit="km",
            minimum=1,
            maximum=500,
        ),
        Parameter(
            "method",
            "str",
            "Hail and sizes: maximum of the gates around a node, or the nearest gate. Classes: always the nearest.",
            default="maximum",
            choices=("maximum", "nearest"),
        ),
    ),
    run=_run,
    check_outputs=_check,
    numbers=(Number("nodes", "Nodes of the grid."), Number("hail_nodes", "Nodes with hail.")),
    notes="Nodes are whole multiples of the spacing, so that the grids of several radars share them. For a volume: the "
    "class from the lowest sweep that has one, hail if any sweep has it, the largest size, the lowest beam heights.",
)
