"""Hail on the real cases beside what is expected of them; the numbers are in `benchmarks.hail_truth_cases`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.hail_truth_cases import hail_truth
from benchmarks.report import console, show

_COLUMNS = (
    "case",
    "hail-like gates",
    "of them found",
    "hail gates",
    "km2",
    "at",
    "HSDA mm",
    "MESH mm",
    "POSH %",
    "removed",
    "trigger",
    "expected",
    "agrees",
)


def run(data: Path | None) -> list[dict[str, Any]]:
    """Print the table; without the data there is none."""
    if data is None or not (data / "radar").is_dir():
        console.print("hail_truth: needs --data with radar/; not shown")
        return []
    rows = [
        (
            row.case,
            row.hail_like,
            f"{row.covered:.0%}" if row.hail_like else "",
            row.hail_gates,
            row.area_km2,
            "" if row.latitude_deg is None else f"{row.latitude_deg:.2f} {row.longitude_deg:.2f}",
            "" if row.size_mm is None else f">={row.size_mm:.0f}",
            "" if row.mesh_mm is None else f"{row.mesh_mm:.0f}",
            "" if row.posh_percent is None else f"{row.posh_percent:.0f}",
            row.removed,
            "" if row.trigger is None else "fires" if row.trigger else "no",
            row.expected,
            "yes" if row.agrees else "NO",
        )
        for row in hail_truth(data)
    ]
    note = (
        "hail-like: ZH >= 55 dBZ, ZDR < 1 dB, 0.70 < RHOHV < 0.97. km2 of the sweep with most hail, place of its"
        " largest region. removed: gates that quality control took out. trigger: the precursor without settings."
    )
    return [show("Hail on the real cases", _COLUMNS, rows, note)]
