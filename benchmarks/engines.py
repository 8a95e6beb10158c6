"""Seconds from `submit` to the final state of a run, by engine and layout: 201 x 201 x 31, five levels, 62 products.

    python -m benchmarks.engines [--runs 30] [--pause 0] [--engines local,condor] [--regime wide]

A personal pool with two slots is started for it, unless CONDOR_CONFIG names one. ``--pause`` puts seconds between the
runs: after more than 10 s the pool has given up the claim of the job before, as between nowcasts of one a minute.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import console, machine, percentile, show
from dynamo.engines.base import Engine, RunFolder
from dynamo.engines.registry import create_engine
from dynamo.inspection.process import inspect
from dynamo.modules.registry import contracts
from dynamo.pool import control
from dynamo.pool.record import STATE_VARIABLE
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.storms import RegimeName
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Plan
from dynamo.workflows.workflow import plan_run, read_workflow

LEVELS = [35.0, 40.0, 45.0, 50.0, 55.0]
SLOTS = 2
ENGINES = ("local", "condor")


@dataclass(frozen=True)
class Case:
    """An engine with a layout: overhead and threshold lead `choose_layout` to it."""

    name: str
    engine: str
    overhead_s: float
    threshold_s: float
    options: tuple[tuple[str, object], ...] = ()


CASES = (
    Case("local, one task", "local", 0.005, 100.0, (("workers", SLOTS),)),
    Case("local, clusters", "local", 0.005, 0.0, (("workers", SLOTS),)),
    Case("condor, one job", "condor", 2.0, 100.0),
    Case("condor, one job, files sent", "condor", 2.0, 100.0, (("transfer", "yes"),)),
    Case("condor, clusters (DAGMan)", "condor", 0.1, 0.0),
)


def run(
    data: Path | None = None,
    *,
    runs: int = 15,
    pause_s: float = 0.0,
    engines: Sequence[str] = ENGINES,
    regime: RegimeName = "wide",
) -> list[dict[str, Any]]:
    """Measure each engine and layout; the input is simulated."""
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        if "condor" in engines and "CONDOR_CONFIG" not in os.environ:
            stack.enter_context(_pool(Path(scratch) / "pool"))
        plan = _plan(Path(scratch), regime)
        rows = [_measure(case, plan, Path(scratch), runs, pause_s) for case in CASES if case.engine in engines]
    return [
        show(
            f"submit to final state, 201 x 201 x 31 {regime}, 62 products, {runs} runs {pause_s:g} s apart, seconds",
            ("engine and layout", "tasks", "first", "p50", "p95", "worst"),
            rows,
        )
    ]


@contextlib.contextmanager
def _pool(state: Path) -> Iterator[None]:
    kept = os.environ.get(STATE_VARIABLE)
    os.environ[STATE_VARIABLE] = str(state)
    control.up(slots=SLOTS, state=state)
    try:
        yield
    finally:
        control.down(state)
        # The engine named the pool that is gone now.
        os.environ.pop("CONDOR_CONFIG", None)
        os.environ.pop(STATE_VARIABLE)
        if kept is not None:
            os.environ[STATE_VARIABLE] = kept


def _plan(folder: Path, regime: RegimeName) -> Plan:
    source = NowcastSimulator(regime, (201, 201), datetime(2019, 6, 10, tzinfo=UTC)).write(folder, 0)
    modules = contracts()
    workflow = read_workflow("nowcast", modules)
    facts = inspect(source, LEVELS)
    return plan_run(workflow, {"nowcast": source}, {"levels": LEVELS}, {"nowcast": facts}, modules)


def _measure(case: Case, plan: Plan, scratch: Path, runs: int, pause_s: float) -> tuple[object, ...]:
    layout = choose_layout(plan, slots=SLOTS, job_overhead_s=case.overhead_s, single_threshold_s=case.threshold_s)
    engine: Engine = create_engine(case.engine, **dict(case.options))
    seconds: list[float] = []
    try:
        # The first run warms what a daemon keeps warm: the workers, the pool's first claim.
        for index in range(runs + 1):
            folder = RunFolder(scratch / f"{case.name} {index}")
            folder.prepare(plan, layout)
            if index:
                time.sleep(pause_s)
            started = time.perf_counter()
            engine.submit(folder)
            status = engine.wait(folder, 120.0)
            seconds.append(time.perf_counter() - started)
            if status.state != "succeeded":
                raise SystemExit(f"{case.name}: {status}")
    finally:
        engine.close()
    later = seconds[1:]
    return (case.name, len(layout.tasks), seconds[0], percentile(later, 0.5), percentile(later, 0.95), max(later))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--regime", choices=["clear", "cells", "wide"], default="wide")
    given = parser.parse_args()
    console.print(machine())
    run(runs=given.runs, pause_s=given.pause, engines=given.engines.split(","), regime=given.regime)


if __name__ == "__main__":
    main()
