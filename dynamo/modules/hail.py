"""Module `hail`: detect hail in radar data in one pass: quality control, classes, regions, sizes, columns."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.modules.numbers import CHECK_FLAG, IMPLAUSIBLE
from dynamo.modules.sweeps import RADAR_PORT, SOUNDING_PARAMETERS, SOUNDING_PORT, check_product


def _run(call: Call) -> dict[str, float]:
    from dataclasses import replace

    from dynamo.formats.radar_products import write_radar_product
    from dynamo.modules.sweeps import quality_limits, read_inputs
    from dynamo.processing.hail import NOT_LOOKED_FOR, HailOptions, hail_product
    from dynamo.radar.hail.sweep import limits_for

    volume, temperatures = read_inputs(call)
    parameters = call.parameters
    own = limits_for(volume.site.band)
    core = parameters["core_reflectivity"] or own.core_dbz
    edge = min(parameters["edge_reflectivity"] or own.edge_dbz, core)
    options = HailOptions(
        limits=replace(
            own,
            core_dbz=core,
            edge_dbz=edge,
            floor_dbz=min(own.floor_dbz, edge),
            min_core_km2=parameters["min_core_area"],
        ),
        quality=quality_limits(call, volume.site.band),
        mesh_method=parameters["mesh_method"],
        mesh_min_range_m=parameters["mesh_min_range"] * 1000.0,
        mesh_max_range_m=parameters["mesh_max_range"] * 1000.0,
        zdr_offset_db=parameters["zdr_offset"],
    )
    product = hail_product(volume, temperatures, options)
    write_radar_product(call.output("hail"), product)
    hail = sum(int((sweep.values["hail_class"] > 0).sum()) for sweep in product.sweeps)
    tops = [float(dbz.max()) for sweep in product.sweeps if (dbz := sweep.values["reflectivity"]).size]
    examined = sum(sweep.counts.get("examined", 0) for sweep in product.sweeps)
    removed = sum(sum(sweep.counts.values()) for sweep in product.sweeps) - examined
    metrics = {
        "sweeps": float(len(product.sweeps)),
        "examined": float(examined),
        "removed": float(removed),
        "hail_gates": float(hail),
        "implausible_values": float(str(product.sources["implausible_values"])),
    }
    if tops:
        metrics["max_dbz"] = max(tops)
    call.remarks.extend(flag for flag in product.flags if flag.startswith(NOT_LOOKED_FOR.partition("{")[0]))
    if product.columns is not None:
        metrics["mesh_max_mm"] = float(product.columns.values["MESH"].max(initial=0.0))
    return metrics


def _check(call: Call) -> None:
    check_product(call.output("hail"), "hail")


MODULE = Module(
    name="hail",
    version="1",
    description="Detect hail in radar sweeps, and its size if band and elevations allow (HSDA; MESH, POSH, SHI).",
    inputs=(RADAR_PORT, SOUNDING_PORT),
    outputs=(Port("hail", "radar-hail", "CF NetCDF with the hail of each sweep and of the columns of the volume."),),
    parameters=(
        Parameter(
            "core_reflectivity",
            "float",
            "Reflectivity that the core of a hail region exceeds; 0 for the band's default: 55 at S and C, 52 at X.",
            default=0.0,
            unit="dBZ",
            minimum=0,
            maximum=80,
        ),
        Parameter(
            "edge_reflectivity",
            "float",
            "Reflectivity at the edge of a hail region; 0 for the band's default: 50 at S and C, 47 at X.",
            default=0.0,
            unit="dBZ",
            minimum=0,
            maximum=80,
        ),
        Parameter(
            "min_core_area",
            "float",
            "Minimum area of a region's core.",
            default=0.25,
            unit="km2",
            minimum=0,
            maximum=1000,
        ),
        Parameter(
            "mesh_method",
            "str",
            "Size from SHI: a blend of Witt (1998) and Murillo and Homeyer (2021), or one of them.",
            default="blend",
            choices=("blend", "witt1998", "mh2019_75", "mh2019_95"),
        ),
        Parameter(
            "mesh_min_range",
            "float",
            "Minimum ground range of integrated columns.",
            default=10.0,
            unit="km",
            minimum=0,
            maximum=500,
        ),
        Parameter(
            "mesh_max_range",
            "float",
            "Maximum ground range of integrated columns.",
            default=150.0,
            unit="km",
            minimum=1,
            maximum=500,
        ),
        *SOUNDING_PARAMETERS,
    ),
    run=_run,
    check_outputs=_check,
    numbers=(
        Number("max_dbz", "Largest reflectivity of weather in the examined gates; none without any.", unit="dBZ"),
        Number("hail_gates", "Gates with hail."),
        Number("mesh_max_mm", "Largest MESH; none where it cannot be computed.", unit="mm"),
        Number("sweeps", "Sweeps that were read."),
        Number("examined", "Gates with strong echo, which were examined."),
        Number("removed", "Examined gates that were no weather."),
        IMPLAUSIBLE,
        CHECK_FLAG,
    ),
    notes="HSDA sizes at S band only; MESH at S and C band, with at least five elevations. Skipped steps are flagged.",
)
