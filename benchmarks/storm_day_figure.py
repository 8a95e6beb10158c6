"""The figure of a storm day: demand, workers and decisions, and how long products took."""

from __future__ import annotations

from pathlib import Path

from benchmarks.storm_day_outcome import DEADLINE_S, Outcome


def draw(outcome: Outcome, path: Path, workers: int) -> None:
    """Draw demand, capacity with decisions, and latency over the day."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    times = [sample.at_s for sample in outcome.samples]
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, sharex=True, figsize=(10, 8), layout="constrained", height_ratios=(1.0, 1.2, 1.0)
    )
    names = {"clear": "clear", "cells": "single storms", "wide": "widespread storms"}
    for axes in (top, middle, bottom):
        for regime, begin, end in outcome.phases:
            shade = {"clear": 0.0, "cells": 0.06, "wide": 0.13}[regime]
            axes.axvspan(begin, end, color="tab:blue", alpha=shade, lw=0)
        axes.grid(alpha=0.25)
    for regime, begin, end in outcome.phases:
        top.text((begin + end) / 2, 1.02, names[regime], transform=top.get_xaxis_transform(), ha="center", fontsize=9)
    sources = [name for name in ("queue", "runs", "forecast") if any(s.demand.get(name) for s in outcome.samples)]
    if sources and times:
        series = [[sample.demand.get(name, 0.0) for sample in outcome.samples] for name in sources]
        top.stackplot(times, series, labels=sources, colors=["#c7c7c7", "#ff9f4a", "#7fb2e5"][-len(sources) :])
        top.legend(loc="upper left", fontsize=8, title="demand by source", title_fontsize=8)
    top.set_ylabel("core-seconds of work there,\nor expected in 2 min")
    middle.step(times, [s.wanted for s in outcome.samples], where="post", color="k", lw=1.2, label="wanted")
    middle.stackplot(
        times,
        [s.ready for s in outcome.samples],
        [s.coming for s in outcome.samples],
        [s.leaving for s in outcome.samples],
        step="post",
        colors=["#5aae61", "#f6e27a", "#b9a5c9"],
        labels=["ready", "coming", "leaving"],
    )
    middle.step(times, [s.busy for s in outcome.samples], where="post", color="tab:red", lw=0.9, label="at work")
    for at, _reason in outcome.decisions:
        middle.axvline(at, color="k", lw=0.5, ls=":", alpha=0.6)
    middle.set_ylim(0, workers + 1)
    middle.set_ylabel("workers of one core\n(dotted: decisions)")
    middle.legend(loc="center left", fontsize=8)
    for trigger, colour in (("storms", "tab:blue"), ("hail", "tab:orange")):
        shown = [run for run in outcome.runs if run["trigger"] == trigger and run["latency_s"] is not None]
        closed = [run["closed_s"] for run in shown]
        bottom.plot(closed, [run["latency_s"] for run in shown], ".", ms=4, color=colour, label=trigger)
    bottom.axhline(DEADLINE_S, color="tab:red", lw=1, ls="--", label="deadline")
    bottom.set_yscale("log")
    bottom.set_ylabel("file to products, s")
    bottom.set_xlabel("seconds since the start (a minute of data every few seconds)")
    bottom.legend(loc="center left", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
