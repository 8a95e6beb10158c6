"""Module `split`: one file for each selected lead of a nowcast."""

from __future__ import annotations

from dynamo.contract import Call, Module, Number, Parameter, Port
from dynamo.errors import InputError
from dynamo.modules.numbers import CHECK_FLAG, IMPLAUSIBLE, MAX_DBZ, largest


def _run(call: Call) -> dict[str, float]:
    from math import isfinite

    from dynamo.checks.examine import FieldsCollector, nowcast_series
    from dynamo.formats.nowcast import MAX_LEADS, NowcastReader
    from dynamo.formats.split import write_split
    from dynamo.radar.quality.fields import DBZ

    leads: list[int] = call.parameters["leads"]
    outputs = call.outputs["leads"]
    if len(leads) != len(outputs):
        raise InputError(
            f"{len(leads)} leads and {len(outputs)} outputs",
            where="split",
            expected=f"one output per lead (<= {MAX_LEADS})",
        )
    implausible, top = 0, float("-inf")
    source = call.input("nowcast")
    collector = FieldsCollector(DBZ) if source.name not in call.examined else None
    with NowcastReader(call.input("nowcast")) as reader:
        for lead, path in zip(leads, outputs, strict=True):
            header, field = reader.read_counted(lead)
            write_split(path, header, lead, field)
            implausible += header.implausible
            top = max(top, largest(field))
            if collector is not None:
                collector.add(lead, field)
    if collector is not None:
        cells = reader.header.grid.nlat * reader.header.grid.nlon * len(leads)
        examination = collector.examination(
            series=nowcast_series(reader.header.grid),
            file=source.name,
            valid_at=reader.header.issue_time,
            impossible=implausible / cells,
        )
        call.checks.append(examination.to_json())
    return {
        **({"max_dbz": top} if isfinite(top) else {}),
        "grids": float(len(leads)),
        "cells": float(reader.header.grid.nlat * reader.header.grid.nlon),
        "implausible_values": float(implausible),
    }


def _check(call: Call) -> None:
    from dynamo.formats.split import read_grids

    # Checking the last file is enough: it is complete unless the disk filled up.
    for _ in read_grids(call.outputs["leads"][-1]):
        break


MODULE = Module(
    name="split",
    version="1",
    description="Split a nowcast into one NetCDF-3 file per lead.",
    inputs=(Port("nowcast", "casa-nowcast", "The nowcast file."),),
    outputs=(Port("leads", "casa-split", "One file per lead, in the order of `leads`.", many=True),),
    parameters=(
        Parameter("leads", "ints", "Leads to write.", default=list(range(31)), unit="min", minimum=0, maximum=180),
    ),
    run=_run,
    check_outputs=_check,
    numbers=(
        MAX_DBZ,
        Number("grids", "Leads that were written."),
        Number("cells", "Cells of one lead."),
        IMPLAUSIBLE,
        CHECK_FLAG,
    ),
)
