"""Which group gets the next worker: price, boot time, quota, reliability, data distance and operator preference.

A pure scoring function. The score is a price: the cost of one useful core-hour in a group, relative to the most
expensive candidate, plus penalties; lower is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dynamo.autoscale.model import GroupOption

#: Cap on the failure rate, so that a group whose workers all fail can still be compared.
_WORST_RATE = 0.95
#: Boot time that counts as a full price unit times its weight, seconds.
_LONG_BOOT_S = 600.0
#: Bandwidth at which data distance counts half, Mbit/s.
_HALF_BANDWIDTH_MBIT = 100.0


@dataclass(frozen=True)
class Need:
    """What the next worker is for.

    Attributes
    ----------
    site
        Required site, as ``Cloud:Region``; empty for any.
    cores_each, memory_mb_each
        What one job needs on a worker.
    slack_s
        Seconds until it must be ready; None if there is no hurry.
    hold_s
        Approximate time of use: the longer, the less a long boot or a billed hour matters.
    """

    site: str = ""
    cores_each: int = 1
    memory_mb_each: int = 0
    slack_s: float | None = None
    hold_s: float = 1800.0


@dataclass(frozen=True)
class Weights:
    """Weight of each property, in units of the price of the most expensive group.

    Attributes
    ----------
    price, boot, reliability, quota, data
        Cost of a useful core-hour; boot time (600 s counts 1); ratio of failed to successful workers; used share of
        the quota; distance of the data (100 Mbit/s counts 0.5).
    """

    price: float = 1.0
    boot: float = 0.2
    reliability: float = 0.5
    quota: float = 0.1
    data: float = 0.2


@dataclass(frozen=True)
class Placement:
    """The rating of a group as the place for the next worker.

    Attributes
    ----------
    score
        Lower is better.
    in_time
        Whether nine of ten of its workers would be ready within the slack.
    why
        Its properties in words.
    """

    group: str
    score: float
    in_time: bool
    why: str


DEFAULT_WEIGHTS = Weights()


def unfit(option: GroupOption, need: Need) -> str:
    """Return why a worker of the group cannot do the work; empty if it can."""
    if need.site and need.site != option.site:
        return f"must run at {need.site}"
    if need.cores_each > option.cpus:
        return f"a job needs {need.cores_each} cores, its workers have {option.cpus}"
    # Unknown memory is no objection.
    if option.memory_mb and need.memory_mb_each > option.memory_mb:
        return f"a job needs {need.memory_mb_each} MB, its workers have {option.memory_mb} MB"
    return ""


def usable_cpus(option: GroupOption, cores_each: int) -> int:
    """Return how many of a worker's processors jobs of ``cores_each`` can fill."""
    each = max(1, cores_each)
    return option.cpus // each * each


def room(option: GroupOption, count: int) -> int:
    """Return how many workers can be added now to a group of ``count``."""
    return max(0, option.most - count) if option.open else 0


def rank(
    options: Iterable[GroupOption],
    counts: Mapping[str, int],
    need: Need,
    weights: Weights = DEFAULT_WEIGHTS,
) -> list[Placement]:
    """Return the groups that can get another useful worker, best first.

    Parameters
    ----------
    options
        The groups.
    counts
        Workers of each group, including those already decided on.
    need, weights
        What the worker is for, and the weights.

    Returns
    -------
    list of Placement
        Groups in time come before late ones; ties by name. Empty if none has room.
    """
    able = [option for option in options if room(option, counts.get(option.group, 0)) > 0 and not unfit(option, need)]
    unit = max((core_hour(option, need) for option in able), default=0.0) or 1.0
    scored = [_score(option, counts.get(option.group, 0), need, weights, unit) for option in able]
    return sorted(scored, key=lambda place: (not place.in_time, place.score, place.group))


def core_hour(option: GroupOption, need: Need) -> float:
    """Return the cost of a useful core-hour, including boot, the unused rest of a billed span, and failures."""
    hold_s = max(1.0, need.hold_s)
    span_s = max(1.0, option.billing_s)
    # A server is billed from creation, not from when it is ready.
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
        words.append(f"slower than the {need.slack_s:.0f} s left")
    return Placement(option.group, score, not late, ", ".join(words))
