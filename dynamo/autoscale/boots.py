"""What workers of a group have taught: how long they take to serve, and how many never do. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from dynamo.autoscale.model import BootTimes

#: What is believed of a driver whose workers nobody has seen: seconds after which half of them, and nine of ten, serve.
PRIORS: Mapping[str, BootTimes] = {
    "local": BootTimes(5.0, 10.0),
    "simulated": BootTimes(90.0, 180.0),
    "openstack": BootTimes(120.0, 300.0),
    # Bare metal is installed and tested before it boots.
    "chameleon": BootTimes(900.0, 1500.0),
}
_UNKNOWN = BootTimes(180.0, 600.0)
#: A prior counts as so many workers.
_PRIOR_WEIGHT = 4.0
#: So many workers that served are believed in before the first failure counts fully.
_PRIOR_GOOD = 5.0


def prior(driver: str) -> BootTimes:
    """Return what is believed of a driver's workers before any was seen."""
    return PRIORS.get(driver, _UNKNOWN)


def learn_boots(seconds: Sequence[float], under_way_s: Sequence[float], before: BootTimes) -> BootTimes:
    """Return the boot times of a group.

    Parameters
    ----------
    seconds
        From the wish for a worker until it served, of those that did, any order.
    under_way_s
        Ages of those that are still on their way; one that takes longer than nine of ten says that boots are slow now.
    before
        The prior, which counts as four workers.
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
    """Return the share of workers that never come to serve, of ``ended`` boots of which ``failed`` did not."""
    return failed / (ended + _PRIOR_GOOD) if ended > 0 else 0.0


def expected_left_s(age_s: float, boot: BootTimes) -> float:
    """Return in how many seconds a worker of this age should serve; one that is late already is late for longer."""
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
