"""Module `composite`: merge the hail grids of a radar network."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.modules.numbers import CHECK_FLAG, GRIDS


def _run(call: Call) -> dict[str, float]:
    from datetime import timedelta

    from dynamo.formats.hail_grid import read_hail_grid, write_hail_grid
    from dynamo.modules.examined import examine_coverage
    from dynamo.processing.hail_composite import composite_grids
    from dynamo.times import parse_time

    parameters = call.parameters
    hail = composite_grids(
        [read_hail_grid(path) for path in call.inputs["grids"]],
        method=parameters["method"],
        expected=[name.strip() for name in parameters["expected"].split(",") if name.strip()],
        max_age=timedelta(seconds=parameters["max_age"]),
        time=parse_time(parameters["time"], where="time") if parameters["time"] else None,
    )
    write_hail_grid(call.output("grid"), hail)
    examine_coverage(call, hail, call.output("grid").name)
    return {
        "grids": float(len(call.inputs["grids"])),
        "radars": float(len(hail.radars)),
        "missing": float(len(hail.missing)),
        "hail_nodes": float((hail.fields["hail_class"] > 0).sum()),
    }


def _check(call: Call) -> None:
    from dynamo.formats.hail_grid import read_hail_grid

    read_hail_grid(call.output("grid"))


MODULE = Module(
    name="composite",
    version="1",
    description="Merge the hail grids of several radars; each node records its radar and the age of its data.",
    inputs=(
        Port(
            "grids",
            "hail-grid",
            "Grids of single radars, in any order; several per radar are allowed.",
            many=True,
            partial=True,
        ),
    ),
    outputs=(Port("grid", "hail-grid", "CF NetCDF; usually named COMPOSITE_{YYYYmmdd-HHMMSS}.nc."),),
    parameters=(
        Parameter(
            "method",
            "str",
            "Radar to use at each node: the one with the largest hail, or the nearest one that covers it.",
            default="maximum",
            choices=("maximum", "nearest"),
        ),
        Parameter("expected", "str", "Radars of the network, comma-separated; missing ones are reported.", default=""),
        Parameter(
            "max_age",
            "float",
            "Omit and flag grids further than this from the composite's time.",
            default=300.0,
            unit="s",
            minimum=1,
            maximum=3600,
        ),
        Parameter("time", "str", "Time of the composite, ISO 8601. Default: that of the newest grid.", default=""),
    ),
    run=_run,
    check_outputs=_check,
    numbers=(
        Number("hail_nodes", "Nodes with hail."),
        Number("radars", "Radars in the composite."),
        Number("missing", "Expected radars that are not in it."),
        GRIDS,
        CHECK_FLAG,
    ),
    notes="A node covered by no radar is not observed (-1). If a radar has several grids, the newest takes precedence.",
)
