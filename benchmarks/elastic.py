"""Policies side by side on simulated weather days: `python -m benchmarks.elastic`.

Each day is played by the engine of `dynamo simulate fleet`. `static` is the smallest fixed fleet that keeps the day's
deadlines, known beforehand; see `dynamo.simulate.fleet.comparison.play` for the others. Payloads are as measured
(load 1) and many times as dear, since seven radars keep less than half a core busy as it is.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.report import console, show
from dynamo.files import write_bytes
from dynamo.simulate.fleet.comparison import PLAYED, as_bytes, play, table
from dynamo.simulate.fleet.figure import draw
from dynamo.simulate.fleet.network import make_network
from dynamo.simulate.fleet.outcome import DayOutcome
from dynamo.simulate.fleet.trace import weather_trace
from dynamo.simulate.fleet.weather import DAYS

#: Goals of `predictive`: late runs, %; share of the fixed fleet's core-hours; times fewer late runs than the others.
LATE_GOAL, PAID_GOAL, BETTER_GOAL = 1.0, 0.40, 5.0


@dataclass(frozen=True)
class Case:
    """One day to be played."""

    network: str
    load: float
    day: str


CASES = (
    Case("casa", 1.0, "cells"),
    *(Case("casa", 60.0, day) for day in DAYS),
    *(Case("nexrad", 10.0, day) for day in ("quiet", "cells", "two-lines")),
)


def run(cases: Sequence[Case] = CASES, seed: int = 1, out: Path | None = None) -> list[dict[str, Any]]:
    """Play all cases and show a table for each, and one of the goals."""
    results: list[dict[str, Any]] = []
    goals: list[tuple[object, ...]] = []
    for case in cases:
        trace = weather_trace(case.day, make_network(case.network, case.load), seed)
        console.print(f"elastic: {trace.name} ...")
        outcomes = [play(trace, name, seed=seed) for name in PLAYED]
        headings, rows = table(outcomes)
        results.append(
            show(
                f"{trace.name}: {len(trace.arrivals)} runs, {trace.core_hours:.1f} core-hours of work, "
                f"peak {trace.peak_cores():.1f} cores",
                headings,
                rows,
                f"Simulated in {sum(item.took_s for item in outcomes):.0f} s of CPU.",
            )
        )
        goals.append(_goals(trace.name, {item.policy: item for item in outcomes}))
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            stem = f"{case.network}-{case.load:g}-{case.day}"
            draw(trace, outcomes, out / f"{stem}.png")
            whole = {"day": trace.summary(), "policies": [item.to_json() for item in outcomes]}
            write_bytes(out / f"{stem}.json", as_bytes(whole))
    results.append(
        show(
            "Goals of the predictive policy",
            (
                "day",
                f"late % (<= {LATE_GOAL:g})",
                f"paid / static (<= {PAID_GOAL:g})",
                f"late: reactive / it (>= {BETTER_GOAL:g})",
                f"late: linear / it (>= {BETTER_GOAL:g})",
                "paid / reactive (<= 1)",
                "paid / linear (<= 1)",
            ),
            goals,
            f"Mean share of static's core-hours: {np.mean([float(str(row[2])) for row in goals]):.2f}.",
        )
    )
    return results


def _goals(name: str, by: dict[str, DayOutcome]) -> tuple[object, ...]:
    mine = by["predictive"]

    def times(other: str) -> object:
        late = by[other].late_percent
        if mine.late_percent == 0:
            return "none late" if late == 0 else "all"
        return round(late / mine.late_percent, 1)

    def paid(other: str) -> float:
        return round(mine.paid_core_hours / max(by[other].paid_core_hours, 1e-9), 2)

    return (
        name,
        mine.late_percent,
        paid("static"),
        times("reactive"),
        times("linear"),
        paid("reactive"),
        paid("linear"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the weather, boot times and failures")
    parser.add_argument("--network", choices=("casa", "nexrad"), help="only this one")
    parser.add_argument("--day", choices=DAYS, help="only this day")
    parser.add_argument("--out", type=Path, help="folder for figures and JSON")
    arguments = parser.parse_args()
    cases = [case for case in CASES if arguments.network in (None, case.network) and arguments.day in (None, case.day)]
    run(cases, arguments.seed, arguments.out)


if __name__ == "__main__":
    main()
