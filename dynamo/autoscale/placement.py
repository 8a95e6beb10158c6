"""Which group gets the next worker: price, boot time, quota, reliability, data distance and the operator's liking.

A pure scoring function. The score is a price: what one useful core-hour costs at a group, in units of the dearest
group that could be taken, plus what else speaks against it; lower is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dynamo.autoscale.model import GroupOption

#: A group all of whose workers fail would never serve; it stays comparable.
_WORST_RATE = 0.95
#: A boot that takes so long counts as a full price unit times its weight, seconds.
_LONG_BOOT_S = 600.0
#: At this bandwidth data distance counts half, Mbit/s.
_HALF_BANDWIDTH_MBIT = 100.0


@dataclass(frozen=True)
class Need:
    """What the next worker is for.

    Attributes
    ----------
    site
        Where it must be, as ``Cloud:Region``; empty for anywhere.
    cores_each, memory_mb_each
        What one job needs of a worker.
    slack_s
        In how many seconds it must serve; None where there is no hurry.
    hold_s
        For how long it will be used, about: a long boot or a paid hour weighs less where it is long.
    """

    site: str = ""
    cores_each: int = 1
    memory_mb_each: int = 0
    slack_s: float | None = None
    hold_s: float = 1800.0


@dataclass(frozen=True)
class Weights:
    """How much each property counts, in units of the price of the dearest group.

    Attributes
    ----------
    price, boot, reliability, quota, data
        Cost of a useful core-hour; boot time (600 s count 1); workers that never came, by those that did; the
        share of the quota that is used; distance of the data (100 Mbit/s count 0.5).
    """

    price: float = 1.0
    boot: float = 0.2
    reliability: float = 0.5
    quota: float = 0.1
    data: float = 0.2


@dataclass(frozen=True)
class Placement:
    """How a group does as the place of the next worker.

    Attributes
    ----------
    score
        Lower is better.
    in_time
        Whether nine of ten of its workers would serve within the slack.
    why
        Its properties in words.
    """

    group: str
    score: float
    in_time: bool
    why: str


DEFAULT_WEIGHTS = Weights()


def unfit(option: GroupOption, need: Need) -> str:
    """Return why a worker of the group cannot do such work; empty if it can."""
    if need.site and need.site != option.site:
        return f"it must run at {need.site}"
    if need.cores_each > option.cpus:
        return f"a job needs {need.cores_each} cores, its workers have {option.cpus}"
    # Without a known memory nothing speaks against it.
    if option.memory_mb and need.memory_mb_each > option.memory_mb:
        return f"a job needs {need.memory_mb_each} MB, its workers have {option.memory_mb} MB"
    return ""


def usable_cpus(option: GroupOption, cores_each: int) -> int:
    """Return how many of a worker's processors jobs of ``cores_each`` can fill."""
    each = max(1, cores_each)
    return option.cpus // each * each


def room(option: GroupOption, count: int) -> int:
    """Return how many more workers a group of ``count`` may get now."""
    return max(0, option.most - count) if option.open else 0


def rank(
    options: Iterable[GroupOption],
    counts: Mapping[str, int],
    need: Need,
    weights: Weights = DEFAULT_WEIGHTS,
) -> list[Placement]:
    """Return the groups that may get another worker of use, the best first.

    Parameters
    ----------
    options
        The groups.
    counts
        Workers that each group has already, those that have been decided on among them.
    need, weights
        What the worker is for, and what counts how much.

    Returns
    -------
    list of Placement
        Groups in time come before those that would be late; equal ones by name. Empty if none has room.
    """
    able = [option for option in options if room(option, counts.get(option.group, 0)) > 0 and not unfit(option, need)]
    unit = max((core_hour(option, need) for option in able), default=0.0) or 1.0
    scored = [_score(option, counts.get(option.group, 0), need, weights, unit) for option in able]
    return sorted(scored, key=lambda place: (not place.in_time, place.score, place.group))


def core_hour(option: GroupOption, need: Need) -> float:
    """Return what a useful core-hour costs: boot, the rest of a paid span and failures included."""
    hold_s = max(1.0, need.hold_s)
    span_s = max(1.0, option.billing_s)
    # A server costs from when it is made, not from when it serves.
    paid_s = math.ceil((hold_s + option.boot.median_s) / span_s) * span_s
    useful = usable_cpus(option, need.cores_each) * (1.0 - min(option.failure_rate, _WORST_RATE))
    return option.cost_per_hour * paid_s / hold_s / max(useful, 1e-6)


def _score(option: GroupOption, count: int, need: Need, weights: Weights, unit: float) -> Placement:
    price = core_hour(option, need)
    rate = min(option.failure_rate, _WORST_RATE)
    late = need.slack_s is not None and option.boot.p90_s > need.slack_s
    distance = 0.0
    if option.bandwidth_mbit is not None:
        distance = _HALF_BANDWIDTH_MBIT / (_HALF_BANDWIDTH_MBIT + max(0.0, option.bandwidth_mbit))
    score = (
        weights.price * price / unit
        + weights.boot * min(option.boot.p90_s / _LONG_BOOT_S, 3.0)
        + weights.reliability * rate / (1.0 - rate)
        + weights.quota * count / max(1, option.most)
        + weights.data * distance
    ) / max(option.weight, 1e-6)
    words = [f"{price:.3g} per core-hour", f"boot p90 {option.boot.p90_s:.0f} s", f"{count} of {option.most} in use"]
    if rate:
        words.append(f"{rate:.0%} fail")
    if option.bandwidth_mbit is not None:
        words.append(f"{option.bandwidth_mbit:.0f} Mbit/s to the data")
    if option.weight != 1.0:
        words.append(f"weight {option.weight:g}")
    if late:
        words.append(f"later than the {need.slack_s:.0f} s that are left")
    return Placement(option.group, score, not late, ", ".join(words))
