"""Figure of a simulated day: demand on top, then capacity, decisions and misses over time for each policy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.files import write_bytes
from dynamo.simulate.fleet.outcome import DayOutcome
from dynamo.simulate.fleet.trace import Trace

#: Colors of clouds, in order; colorblind-safe.
_CLOUDS = ("#4477aa", "#ccbb44", "#228833", "#aa3377")
_DEMAND, _BAND, _LATE, _BUSY, _INK = "#333333", "#bbbbbb", "#cc3311", "#111111", "#444444"
_STEP_S = 300.0


def draw(trace: Trace, outcomes: Sequence[DayOutcome], path: Path) -> None:
    """Draw a day to a PNG file.

    Parameters
    ----------
    trace
        The day.
    outcomes
        The results, one panel each.
    path
        The file, written atomically.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = 1 + len(outcomes)
    figure = Figure(figsize=(11.0, 1.6 + 1.75 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=[1.25] + [1.0] * len(outcomes))[:, 0]
    hours = trace.span_s / 3600.0
    _demand(panels[0], trace, outcomes[0])
    for panel, outcome in zip(panels[1:], outcomes, strict=True):
        _policy(panel, outcome)
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
        panel.set_xlim(0.0, hours)
        panel.grid(axis="x", color="#e6e6e6", linewidth=0.6)
        panel.set_axisbelow(True)
        for outage in trace.outages:
            panel.axvspan(outage.from_s / 3600.0, outage.to_s / 3600.0, color="#cc3311", alpha=0.07, linewidth=0)
    step = next(step for step in (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 24.0) if hours / step <= 13)
    ticks = np.arange(0.0, hours + 1e-6, step)
    panels[-1].set_xticks(ticks, [_clock(trace, tick) for tick in ticks])
    panels[-1].set_xlabel(f"time, UTC, from {trace.start:%Y-%m-%d}")
    figure.suptitle(
        f"{trace.name}: {len(trace.arrivals)} runs, {trace.core_hours:.1f} core-hours of work",
        fontsize=11,
        x=0.01,
        ha="left",
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    write_bytes(path, buffer.getvalue())


def _demand(panel: Any, trace: Trace, outcome: DayOutcome) -> None:
    edges = np.arange(0.0, trace.span_s + _STEP_S, _STEP_S)
    sums, _ = np.histogram(
        [item.at_s for item in trace.arrivals], bins=edges, weights=[item.slot_s for item in trace.arrivals]
    )
    at = np.array([item.at_s for item in outcome.samples]) / 3600.0
    # Work expected in the next ten minutes, as continuously busy cores.
    low = np.array([item.expected_core_s for item in outcome.samples]) / 600.0
    high = np.array([item.expected_high_core_s for item in outcome.samples]) / 600.0
    panel.fill_between(
        at, low, high, color=_BAND, linewidth=0, label="expected in the next 10 min, to its 0.9 quantile"
    )
    panel.stairs(sums / _STEP_S, edges / 3600.0, color=_DEMAND, linewidth=1.0, label="arrived (5-minute means)")
    for outage in trace.outages:
        middle = (outage.from_s + outage.to_s) / 7200.0
        panel.annotate(
            "site down", (middle, 0.78), xycoords=("data", "axes fraction"), ha="center", fontsize=8, color=_LATE
        )
    panel.set_ylim(0.0, max(1e-3, 1.3 * max(float(sums.max(initial=0.0)) / _STEP_S, float(high.max(initial=0.0)))))
    panel.set_ylabel("demand,\ncores")
    panel.legend(loc="upper left", fontsize=8, frameon=False, ncols=2)


def _policy(panel: Any, outcome: DayOutcome) -> None:
    samples = outcome.samples
    at = np.array([item.at_s for item in samples]) / 3600.0
    groups = list(samples[0].ready) if samples else []
    base: NDArray[np.float64] = np.zeros(len(samples))
    for group, colour in zip(groups, _CLOUDS * len(groups), strict=False):
        top = base + np.array([item.ready[group] for item in samples], dtype=np.float64)
        panel.fill_between(at, base, top, step="post", color=colour, alpha=0.75, linewidth=0, label=f"ready at {group}")
        base = top
    coming = base + np.array([sum(item.coming.values()) for item in samples])
    panel.fill_between(
        at, base, coming, step="post", facecolor="none", edgecolor="#999999", hatch="////", linewidth=0, label="coming"
    )
    # Instantaneous values say little if jobs are short: use work done per time.
    edges = np.arange(0.0, at[-1] + _STEP_S / 3600.0, _STEP_S / 3600.0) if samples else np.zeros(2)
    done = np.interp(edges, at, [item.used_core_s for item in samples])
    panel.stairs(np.diff(done) / _STEP_S, edges, color=_BUSY, linewidth=0.9, label="used (5-minute means)")
    top_cores = max(1.0, float(coming.max(initial=1.0)))
    panel.set_ylim(-0.16 * top_cores, 1.32 * top_cores)
    made = [item.at_s / 3600.0 for item in outcome.made]
    panel.plot(
        made, [-0.08 * top_cores] * len(made), "|", color=_INK, markersize=5, markeredgewidth=0.6, label="decision"
    )
    late = [at_s / 3600.0 for at_s, is_late in zip(outcome.arrived_s, outcome.late, strict=True) if is_late]
    panel.plot(late, [1.12 * top_cores] * len(late), "|", color=_LATE, markersize=7, markeredgewidth=0.6, label="late")
    panel.set_ylabel("cores")
    panel.set_title(
        f"{outcome.policy}: {outcome.late_percent:g} % late, {outcome.paid_core_hours:g} core-hours paid, "
        f"{outcome.decisions} decisions, {outcome.killed_jobs} jobs killed",
        fontsize=9,
        loc="left",
        pad=3,
    )
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.05), fontsize=7, frameon=False)


def _clock(trace: Trace, hours: float) -> str:
    from datetime import timedelta

    return f"{trace.start + timedelta(hours=float(hours)):%H:%M}"
