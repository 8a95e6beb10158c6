"""Expected work, with an upper band, from a nowcast issued at a given time.

Existing storms are extrapolated unchanged, with errors in motion and size that grow with lead time; weak echoes may or
may not become storms; future storms are unknown. The true day is used only for what is observable at issue time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from dynamo.simulate.fleet.network import CONDITION_KM2, NOWCAST_DELAY_S, PRECURSOR_KM2, Network, SimulatedFeed
from dynamo.simulate.fleet.truth import MINUTES, SeenWeather
from dynamo.simulate.fleet.weather import EXPECTED_LIFE_MIN, WEAK_CHANCE, WEAK_MIN, Storms

Floats = NDArray[np.float64]

#: Edges of the forecast intervals, minutes of lead time.
EDGES_MIN = (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60)
#: Error of extrapolated motion, km per minute, and of initial position, km.
_DRIFT_KM_MIN, _PLACE_KM = 0.12, 1.5
#: Error of the log of a storm's size after one minute; grows with the square root of lead time.
_SIZE_ERROR = 0.16
#: 0.9 quantile of the standard normal distribution, and the extra spread of sums because storms cluster.
_Z90, _TOGETHER = 1.2816, 1.6
#: Typical size of the storm that a weak echo becomes, km2.
_TYPICAL_KM2 = 20.0
#: Smaller expectations are dropped.
_LEAST_RUNS = 0.01


@dataclass(frozen=True)
class ExpectedWork:
    """Work of one feed expected to arrive in a time interval.

    Attributes
    ----------
    from_s, to_s
        Seconds of the day.
    slot_s, slot_s_high
        Total slot time, mean and 0.9 quantile.
    runs
        Expected number of files.
    """

    feed: SimulatedFeed
    from_s: float
    to_s: float
    slot_s: float
    slot_s_high: float
    runs: float


class Forecaster(Protocol):
    """Predicts work from what is known at the time."""

    def expect(self, now_s: float) -> Sequence[ExpectedWork]:
        """Return the work expected after ``now_s``, by time interval."""
        ...


class StormForecaster:
    """Forecasts from nowcasts issued at the interval of the network's nowcast feed.

    Parameters
    ----------
    network, storms, truth
        The day.
    seed
        Random seed for the forecast errors.
    """

    def __init__(self, network: Network, storms: Storms, truth: SeenWeather, seed: int) -> None:
        self._network = network
        self._storms = storms
        self._truth = truth
        self._seed = seed
        self._every_s = min(feed.every_s for feed in network.feeds if not feed.per_radar)
        self._issue = -1
        self._expected: list[ExpectedWork] = []

    def expect(self, now_s: float) -> Sequence[ExpectedWork]:
        """Return the work expected from the newest nowcast."""
        issue = int(now_s // self._every_s)
        if issue != self._issue:
            self._issue = issue
            self._expected = self._forecast(issue)
        return [item for item in self._expected if item.to_s > now_s]

    def _forecast(self, issue: int) -> list[ExpectedWork]:
        start_s = issue * self._every_s
        minute = min(int(start_s // 60.0), MINUTES - 1)
        middles = (np.array(EDGES_MIN[1:]) + np.array(EDGES_MIN[:-1])) / 2.0
        radar_p, radar_km2, domain_p, domain_km2 = self._chances(issue, minute, middles)
        network, found = self._network, []
        for k, (low, high) in enumerate(pairwise(EDGES_MIN)):
            from_s, to_s = start_s + 60.0 * low, start_s + 60.0 * high
            for feed in network.feeds:
                chance, area = (radar_p[k], radar_km2[k]) if feed.per_radar else (domain_p[k], domain_km2[k])
                if feed.rule == "always":
                    chance = np.ones(network.parts)
                each = feed.payload_s(area) + feed.tasks * network.overhead_s
                if feed.per_radar:
                    # Files from many radars arrive continuously.
                    found.append(_expected(feed, from_s, to_s, (to_s - from_s) / feed.every_s, chance, each))
                    continue
                first = math.ceil((from_s - NOWCAST_DELAY_S) / feed.every_s)
                last = math.ceil((to_s - NOWCAST_DELAY_S) / feed.every_s)
                for number in range(first, last):
                    at_s = number * feed.every_s + NOWCAST_DELAY_S
                    found.append(_expected(feed, at_s, at_s + 1.0, 1.0, chance, each))
        return [item for item in found if item.runs >= _LEAST_RUNS]

    def _chances(self, issue: int, minute: int, leads: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Return for each lead the chance that a radar is watched and its area, and the same for the nowcasts."""
        network, storms, truth = self._network, self._storms, self._truth
        radars, parts = len(network.radars_km), network.parts
        shape = (len(leads), radars)
        which = storms.alive(minute)
        log_none = np.zeros(shape)
        area_radar = np.zeros(shape)
        domain_area = np.zeros((len(leads), parts))
        log_none_domain = np.zeros((len(leads), parts))
        if which.size:
            rng = np.random.default_rng([self._seed, 5, issue])
            area = storms.area_km2(which, minute)
            place = storms.position_km(which, minute)
            motion = np.stack([storms.u_km_min[which], storms.v_km_min[which]], axis=1)
            motion = motion + rng.normal(0.0, _DRIFT_KM_MIN, motion.shape)
            errors = rng.normal(0.0, 1.0, which.size)
            weak = area <= 0.0
            size = np.where(weak, _TYPICAL_KM2, np.maximum(area, 0.01))
            age = minute - storms.born_min[which]
            reach = network.range_km + 130.0
            apart = network.radars_km[:, None, :] - place[None, :, :]
            radar, storm = np.nonzero((apart**2).sum(axis=2) < reach**2)
            for k, lead in enumerate(leads):
                sigma = _SIZE_ERROR * math.sqrt(lead) + 0.02
                moved = place + motion * lead
                blur = _PLACE_KM + _DRIFT_KM_MIN * lead
                # A weak storm must first grow, and may not.
                grown = np.where(weak, WEAK_CHANCE * ndtr((lead + age - WEAK_MIN) / 4.0), 1.0)
                lasting = np.exp(-lead / EXPECTED_LIFE_MIN)
                seen_size = size * np.exp(0.5 * errors * sigma)
                strong = grown * lasting * ndtr(np.log(seen_size / PRECURSOR_KM2) / sigma)
                distance = np.hypot(*(network.radars_km[radar] - moved[storm]).T)
                within = ndtr((network.range_km - distance) / blur)
                log_none[k] = np.bincount(radar, np.log1p(-np.minimum(within * strong[storm], 0.999)), radars)
                expected = seen_size * grown * lasting
                area_radar[k] = np.bincount(radar, within * expected[storm], radars)
                inside = (moved[None] - network.corners_km[:, None]) / blur
                beyond = (network.corners_km[:, None] + np.asarray(network.size_km) - moved[None]) / blur
                share = (ndtr(inside) * ndtr(beyond)).prod(axis=2)
                domain_area[k] = share @ expected
                # Several storms, each too small, may reach the area together.
                alone = grown * lasting * ndtr(np.log(seen_size / CONDITION_KM2) / sigma)
                log_none_domain[k] = np.log1p(-np.minimum(share * alone, 0.999)).sum(axis=1)
                together = ndtr(np.log(np.maximum(domain_area[k], 1e-3) / CONDITION_KM2) / (sigma + 0.3))
                log_none_domain[k] = np.minimum(log_none_domain[k], np.log1p(-np.minimum(together, 0.999)))
        chance = 1.0 - np.exp(log_none)
        # A watched radar stays watched for a while, and one that becomes watched at one lead still is at the next ones.
        held = truth.watched_until_min[minute][None, :] > minute + leads[:, None]
        chance = np.where(held, 1.0, chance)
        hold = 10.0
        for k in range(1, len(leads)):
            if leads[k] - leads[k - 1] <= hold:
                chance[k] = np.maximum(chance[k], chance[k - 1] * (1.0 - (leads[k] - leads[k - 1]) / hold))
        return chance, area_radar, 1.0 - np.exp(log_none_domain), domain_area


def _expected(
    feed: SimulatedFeed, from_s: float, to_s: float, files: float, chance: Floats, each: Floats
) -> ExpectedWork:
    """Return the total work of ``files`` per radar or part, given their chances and costs."""
    slot = files * float((chance * each).sum())
    spread = files * math.sqrt(float((chance * (1.0 - chance) * each**2).sum()))
    all_of_it = files * float(each.sum())
    high_s = min(all_of_it, slot + _Z90 * _TOGETHER * spread + 0.1 * slot)
    return ExpectedWork(feed, from_s, to_s, slot, max(slot, high_s), files * float(chance.sum()))
