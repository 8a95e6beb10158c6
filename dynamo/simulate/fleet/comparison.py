"""Side-by-side comparison of policies on one day; the fixed fleet is sized for the peak."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from dynamo.autoscale.policies.registry import make_policy
from dynamo.simulate.fleet.engine import Setting, simulate
from dynamo.simulate.fleet.outcome import COLUMNS, DayOutcome
from dynamo.simulate.fleet.sites import Cloud, default_clouds
from dynamo.simulate.fleet.trace import Trace

#: A fixed fleet is large enough if at most this share of runs is late, %.
SIZED_LATE_PERCENT = 1.0
#: Time for the linear controller to rise from zero to the day's peak, s.
_LINEAR_RISE_S = 600.0
#: Policies compared by default.
PLAYED = ("static", "reactive", "linear", "predictive")


def play(
    trace: Trace,
    name: str,
    *,
    options: Mapping[str, Any] | None = None,
    clouds: Sequence[Cloud] | None = None,
    seed: int = 1,
    progress: Callable[[float], None] = lambda _share: None,
) -> DayOutcome:
    """Play a day with one policy.

    Parameters
    ----------
    trace, name, options
        The day, and the policy with its options. Without options, `static` is the smallest fixed fleet that meets the
        day's deadlines, sized with hindsight; `reactive` and `linear` get steps that suit the day's peak; others use
        their defaults.
    clouds
        Source of workers. Default: two clouds that suit the day.
    seed
        Random seed for boot times and failures.
    progress
        Called with the elapsed share of the day.

    Raises
    ------
    InputError
        If the policy or option does not exist.
    """
    places = tuple(clouds) if clouds is not None else default_clouds(trace.cpus, trace.peak_cores())
    setting = Setting(places, seed=seed)
    if options is not None:
        return simulate(trace, name, make_policy(name, options), setting, progress)
    least = max(1, math.ceil(trace.peak_cores() / places[0].cpus))
    if name == "static":
        return _sized(trace, setting, least, progress)
    if name == "reactive":
        # Scale steps to the fleet: with the defaults, a small one would start completely at the first waiting file.
        options = {"most_step": max(1, round(least / 2))}
    elif name == "linear":
        options = {"rate": round(max(0.002, least * places[0].cpus / _LINEAR_RISE_S), 4)}
    return simulate(trace, name, make_policy(name, options), setting, progress)


def _sized(trace: Trace, setting: Setting, least: int, progress: Callable[[float], None]) -> DayOutcome:
    """Play with the smallest fixed fleet on the preferred cloud that meets the day's deadlines."""
    cloud = setting.clouds[0]
    workers = least
    if trace.outages:
        # Nobody sizes a fleet to survive the loss of its site.
        calm = _sized(replace(trace, outages=()), setting, least, progress)
        workers = max(calm.made[-1].wanted.values())
        return simulate(trace, "static", make_policy("static", {"workers": {cloud.group: workers}}), setting, progress)
    while True:
        policy = make_policy("static", {"workers": {cloud.group: workers}})
        outcome = simulate(trace, "static", policy, setting, progress)
        if outcome.late_percent <= SIZED_LATE_PERCENT or workers >= cloud.most:
            return outcome
        workers += max(1, workers // 6)


def table(outcomes: Sequence[DayOutcome]) -> tuple[list[str], list[list[object]]]:
    """Return headings and rows."""
    return [heading for _, heading in COLUMNS], [
        [getattr(outcome, field) for field, _ in COLUMNS] for outcome in outcomes
    ]


def as_bytes(value: Any) -> bytes:
    """Return JSON; NaN becomes null."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)
