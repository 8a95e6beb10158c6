"""Learn from a group's workers how long they take to boot, and how many never do. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dynamo.autoscale.model import BootTimes

#: Prior for a driver without observed workers: seconds until half of its workers, and nine of ten, are ready.
PRIORS: Mapping[str, BootTimes] = {
    "local": BootTimes(5.0, 10.0),
    "simulated": BootTimes(90.0, 180.0),
    "openstack": BootTimes(120.0, 300.0),
    # Bare metal is installed and tested before it boots.
    "chameleon": BootTimes(900.0, 1500.0),
}
_UNKNOWN = BootTimes(180.0, 600.0)
#: Weight of the prior, in workers.
_PRIOR_WEIGHT = 4.0
#: Successful workers assumed before the first observed failure.
_PRIOR_GOOD = 5.0


def prior(driver: str) -> BootTimes:
    """Return the prior boot times of a driver's workers."""
    return PRIORS.get(driver, _UNKNOWN)


def learn_boots(seconds: Sequence[float], under_way_s: Sequence[float], before: BootTimes) -> BootTimes:
    """Return the boot times of a group.

    Parameters
    ----------
    seconds
        Time from request to ready of the workers that became ready, in any order.
    under_way_s
        Ages of the workers still booting; one slower than nine of ten indicates that boots are slow now.
    before
        The prior, weighted as four workers.
    """
    seen = sorted(seconds)
    middle = _mixed(_quantile(seen, 0.5), before.median_s, len(seen))
    high = _mixed(_quantile(seen, 0.9), before.p90_s, len(seen))
    slow = [age for age in under_way_s if age > high]
    if slow:
        everything = sorted([*seen, *slow])
        middle = _mixed(_quantile(everything, 0.5), before.median_s, len(everything))
        high = max(high, _mixed(_quantile(everything, 0.9), before.p90_s, len(everything)))
    return BootTimes(middle, max(middle, high), len(seen))


def failure_rate(ended: int, failed: int) -> float:
    """Return the share of workers that never become ready, given ``failed`` of ``ended`` boots."""
    return failed / (ended + _PRIOR_GOOD) if ended > 0 else 0.0


def expected_left_s(age_s: float, boot: BootTimes) -> float:
    """Return in how many seconds a worker of this age should be ready; one already late is expected to stay late."""
    if age_s < boot.median_s:
        return boot.median_s - age_s
    return max(1.0, (boot.p90_s - boot.median_s) / 2, 0.25 * (age_s - boot.median_s))


def _quantile(ordered: Sequence[float], share: float) -> float:
    if not ordered:
        return math.nan
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _mixed(seen_s: float, before_s: float, count: int) -> float:
    if count == 0:
        return before_s
    return (count * seen_s + _PRIOR_WEIGHT * before_s) / (count + _PRIOR_WEIGHT)
