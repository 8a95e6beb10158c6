"""``python -m benchmarks [--only NAME ...] [--data DIR] [--json FILE]``: measure and print tables."""

from __future__ import annotations

import argparse
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.htcondor import ensure_htcondor
from benchmarks.report import console, machine, save
from dynamo.errors import DynamoError

#: In the order of the README's table. Each has ``run(data) -> list of tables``.
SUITES = (
    "products",
    "conus",
    "arrivals",
    "engines",
    "detection",
    "nowcast_skill",
    "readers",
    "hydroclass",
    "hail_truth",
    "hail_pace",
    "hail_score",
    "alerts",
    "fleet_cycle",
    "damage",
    "check_cost",
)
#: Suites that run jobs on HTCondor.
ON_HTCONDOR = ("arrivals", "engines")
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main(arguments: list[str] | None = None) -> None:
    """Run the suites that ``arguments`` name."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES, help="measure these")
    parser.add_argument("--data", type=Path, default=_DATA, help="real data (see README)")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    data = options.data if options.data.is_dir() else None
    console.print(machine())
    failed: list[str] = []
    if wanted := [name for name in options.only if name in ON_HTCONDOR]:
        try:
            ensure_htcondor()
        except DynamoError as error:
            console.print(f"not measured without HTCondor: {', '.join(wanted)}: {error}")
            failed += wanted
    results: list[dict[str, Any]] = []
    for name in options.only:
        if name in failed:
            continue
        try:
            results += import_module(f"benchmarks.{name}").run(data)
        except Exception:
            # One that fails must not cost the tables of the others.
            traceback.print_exc()
            failed.append(name)
    if options.json:
        save(options.json, results)
    if failed:
        sys.exit(f"{len(failed)} of {len(options.only)} failed: --only {' '.join(failed)} measures them again")


if __name__ == "__main__":
    main()
