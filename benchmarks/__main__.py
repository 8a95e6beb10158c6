"""``python -m benchmarks [--only NAME ...] [--data DIR] [--json FILE]``: measure and print tables."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from benchmarks.report import console, machine, save

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
)
_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=SUITES, default=SUITES, help="measure these")
    parser.add_argument("--data", type=Path, default=_DATA, help="real data (see README)")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args()
    data = options.data if options.data.is_dir() else None
    console.print(machine())
    results = []
    for name in options.only:
        results += import_module(f"benchmarks.{name}").run(data)
    if options.json:
        save(options.json, results)


if __name__ == "__main__":
    main()
