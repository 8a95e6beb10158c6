"""Timing callables in turn and printing what came out, with the machine named."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.table import Table

console = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 160)


@dataclass(frozen=True)
class Timing:
    """Median wall and CPU milliseconds of a callable."""

    wall_ms: float
    cpu_ms: float


def time_in_turn(candidates: Mapping[str, Callable[[], object]], *, rounds: int = 5) -> dict[str, Timing]:
    """Run the candidates in turn, A B C A B C ..., after one warm-up; return medians by name."""
    wall: dict[str, list[float]] = {name: [] for name in candidates}
    cpu: dict[str, list[float]] = {name: [] for name in candidates}
    for index in range(rounds + 1):
        for name, call in candidates.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            call()
            if index:
                wall[name].append((time.perf_counter() - start) * 1000)
                cpu[name].append((time.process_time() - start_cpu) * 1000)
    return {name: Timing(statistics.median(wall[name]), statistics.median(cpu[name])) for name in candidates}


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1)]


def machine() -> str:
    """Name the machine: processor, cores, memory, Python."""
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> dict[str, Any]:
    """Print a table and return it as data."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(
            *(
                f"{cell:,.3g}"
                if isinstance(cell, float) and cell < 1000
                else f"{cell:,.0f}"
                if isinstance(cell, float)
                else str(cell)
                for cell in row
            )
        )
    console.print(table)
    if note:
        console.print(note)
    return {"title": title, "columns": list(columns), "rows": [list(row) for row in rows], "note": note}


def save(path: Path, results: Sequence[Mapping[str, Any]]) -> None:
    """Write the results with the machine as JSON."""
    data = {"machine": machine(), "argv": sys.argv[1:], "results": list(results)}
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2))
