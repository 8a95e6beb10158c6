"""Policies side by side on one day: each by its name, the fixed fleet sized for the peak."""

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

#: A fixed fleet is large enough if no more runs than this are late, %.
SIZED_LATE_PERCENT = 1.0
#: In so long the linear controller goes from nothing to the day's peak, s.
_LINEAR_RISE_S = 600.0
#: What is compared where nobody chooses.
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
        The day, and the policy with its options. Without options `static` is the smallest fixed fleet that keeps the
        day's deadlines, as one would size it who knows the day; `reactive` and `linear` get steps that suit the day's
        peak; others are at their defaults.
    clouds
        Where workers come from; without them two that suit the day.
    seed
        Of boot times and failures.
    progress
        Told the share of the day that has passed.

    Raises
    ------
    InputError
        If there is no such policy or option.
    """
    places = tuple(clouds) if clouds is not None else default_clouds(trace.cpus, trace.peak_cores())
    setting = Setting(places, seed=seed)
    if options is not None:
        return simulate(trace, name, make_policy(name, options), setting, progress)
    least = max(1, math.ceil(trace.peak_cores() / places[0].cpus))
    if name == "static":
        return _sized(trace, setting, least, progress)
    if name == "reactive":
        # Steps that suit the fleet: by the defaults a small one would be all there at the first file that waits.
        options = {"most_step": max(1, round(least / 2))}
    elif name == "linear":
        options = {"rate": round(max(0.002, least * places[0].cpus / _LINEAR_RISE_S), 4)}
    return simulate(trace, name, make_policy(name, options), setting, progress)


def _sized(trace: Trace, setting: Setting, least: int, progress: Callable[[float], None]) -> DayOutcome:
    """Play with the smallest fixed fleet, on the cloud that is taken first, that keeps the day's deadlines."""
    cloud = setting.clouds[0]
    workers = least
    if trace.outages:
        # Nobody sizes a fleet so that it survives the loss of its site.
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
    """Return JSON; what is no number is null there."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_UTC_Z)
