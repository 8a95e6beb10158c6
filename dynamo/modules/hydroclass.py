"""Module `hydroclass`: hydrometeor classes of radar sweeps, for research; `hail` does not need its output."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.modules.numbers import CHECK_FLAG, IMPLAUSIBLE
from dynamo.modules.sweeps import RADAR_PORT, SOUNDING_PARAMETERS, SOUNDING_PORT, check_product


def _run(call: Call) -> dict[str, float]:
    from dynamo.formats.radar_products import write_radar_product
    from dynamo.modules.sweeps import quality_limits, read_inputs
    from dynamo.processing.hail import classes_product

    volume, temperatures = read_inputs(call)
    product = classes_product(
        volume,
        temperatures,
        min_dbz=call.parameters["min_reflectivity"],
        checks=quality_limits(call, volume.site.band),
        zdr_offset_db=call.parameters["zdr_offset"],
    )
    write_radar_product(call.output("classes"), product)
    counts = [sweep.counts for sweep in product.sweeps]
    return {
        "sweeps": float(len(product.sweeps)),
        "examined": float(sum(count["examined"] for count in counts)),
        "classified": float(sum(sweep.index.size for sweep in product.sweeps)),
        "implausible_values": float(str(product.sources["implausible_values"])),
    }


def _check(call: Call) -> None:
    check_product(call.output("classes"), "classes")


MODULE = Module(
    name="hydroclass",
    version="1",
    description="Classify hydrometeors in radar sweeps by fuzzy logic from ZH, ZDR, KDP, RHOHV and temperature.",
    inputs=(RADAR_PORT, SOUNDING_PORT),
    outputs=(Port("classes", "radar-classes", "CF NetCDF with the class of each gate that has one."),),
    parameters=(
        Parameter(
            "min_reflectivity",
            "float",
            "Do not classify weaker gates.",
            default=10.0,
            unit="dBZ",
            minimum=-40,
            maximum=80,
        ),
        *SOUNDING_PARAMETERS,
    ),
    run=_run,
    check_outputs=_check,
    numbers=(
        Number("classified", "Gates with a class."),
        Number("sweeps", "Sweeps that were read."),
        Number("examined", "Gates above the least reflectivity."),
        IMPLAUSIBLE,
        CHECK_FLAG,
    ),
    notes="Classes of csu_fhc_summer (hybrid) in csu_radartools: drizzle, rain, ice crystals, aggregates, wet snow,"
    " vertical ice, low- and high-density graupel, hail, big drops. A gate without KDP is classified without it.",
)
