"""Error bands of load predictions, learned from actual loads, separately for each lead; pure.

Time is divided into bins. When a bin enters a lead bucket (0-10, 10-20, 20-30, 30-60 minutes ahead), the load predicted
for it is kept; when it is over, the ratio of actual to predicted load is one observation. Past bins with a similar
predicted load count (a quiet night says nothing about a storm), recent ones more, together with a wide prior: a few
observations change little, and one odd bin has limited influence.

Errors of neighboring bins are correlated, so a past quantile is missed too often while the weather changes. Each miss
therefore raises its level and each hit lowers it, which brings the miss rate to its target whatever the error
distribution (Gibbs and Candes, Adaptive Conformal Inference Under Distribution Shift, NeurIPS 2021,
equation 2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.times import from_epoch

#: Length of a bin, seconds.
BIN_S = 300.0
#: Ends of the lead buckets, seconds ahead.
BUCKETS_S = (600.0, 1200.0, 1800.0, 3600.0)
#: Seconds after its end at which a bin is judged, when its runs are in the store.
SETTLE_S = 120.0
#: The quantile of the actual load that `Band.high` represents.
QUANTILE = 0.9
#: How much a miss raises the level of the quantile, and its bounds.
_STEP = 0.02
_LEVELS = (0.6, 0.99)
#: Minimum width of the band, as a factor.
_LEAST_FACTOR = 1.03
#: Added to both sides of a ratio, core-seconds: nothing versus almost nothing is not a miss.
FLOOR_CORE_S = 1.0

_KEPT = 200
#: The prior: ratios with a mean of 1, one in ten above 2, each worth one observation.
_PRIOR = np.array([0.25, 0.45, 0.65, 0.9, 1.5, 2.25])
_HALF_LIFE = 100.0
#: Scale of similarity between loads (one standard deviation of the natural logarithm).
_SIMILAR = 0.7
_LEAST_WEIGHT = 0.02
#: Ratios beyond these just mean "very wrong".
_LOW, _HIGH = 0.02, 50.0
#: Largest correction factor of the expected load, either way.
_MAX_BIAS = 4.0


@dataclass(frozen=True)
class Band:
    """The corrected prediction of a load.

    Attributes
    ----------
    expected, high
        Core-seconds: the corrected prediction, and its 90th percentile.
    observations
        Number of past bins it is based on.
    """

    expected: float
    high: float
    observations: int = 0


@dataclass
class Track:
    """Pending predictions, and past ones with their outcomes, of one source and trigger.

    Attributes
    ----------
    pending
        Predicted core-seconds and the upper end of their band, by bucket and start of the bin (epoch seconds).
    seen
        Past (predicted, actual) core-seconds by bucket, oldest first.
    levels
        The quantile taken of the past, by bucket; initially `QUANTILE`.
    """

    pending: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    seen: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    levels: dict[int, float] = field(default_factory=dict)

    def expect(self, now: datetime, loads: Mapping[int, float], horizon_s: float) -> bool:
        """Keep the predictions for bins that have just entered a bucket; return whether there were any.

        Parameters
        ----------
        now
            When the prediction was made.
        loads
            Core-seconds predicted before any correction, by start of the bin; missing ones are zero.
        horizon_s
            How far the prediction reaches; later bins are not judged.
        """
        added = False
        for start in bins_ahead(now, horizon_s):
            lead_s = start - now.timestamp()
            key = (bucket_of(lead_s), start)
            if key not in self.pending:
                predicted = loads.get(start, 0.0)
                self.pending[key] = (round(predicted, 3), round(self.band(lead_s, predicted).high, 3))
                added = True
        return added

    def settle(self, now: datetime, actual: Callable[[datetime, datetime], float | None]) -> bool:
        """Judge the bins that are over; return whether there were any.

        Parameters
        ----------
        now
            The caller's clock.
        actual
            Returns the core-seconds that came between two times; None if that says nothing about the prediction, such
            as when the feed was down.
        """
        over = sorted(key for key in self.pending if key[1] + BIN_S + SETTLE_S <= now.timestamp())
        outcomes: dict[int, float | None] = {}
        for bucket, start in over:
            predicted, high = self.pending.pop((bucket, start))
            if start not in outcomes:
                outcomes[start] = actual(from_epoch(start), from_epoch(start + BIN_S))
            outcome = outcomes[start]
            if outcome is not None:
                self.seen.setdefault(bucket, []).append((predicted, round(outcome, 3)))
                del self.seen[bucket][:-_KEPT]
                step = _STEP * (float(outcome > high) - (1.0 - QUANTILE))
                level = self.levels.get(bucket, QUANTILE) + step
                self.levels[bucket] = round(min(max(level, _LEVELS[0]), _LEVELS[1]), 5)
        return bool(over)

    def drop(self) -> bool:
        """Drop the pending predictions without judging them; return whether there were any."""
        dropped = bool(self.pending)
        self.pending.clear()
        return dropped

    def band(self, lead_s: float, predicted: float) -> Band:
        """Return the band of a bin's predicted core-seconds, ``lead_s`` seconds ahead."""
        bucket = bucket_of(lead_s)
        return learned_band(self.seen.get(bucket, ()), predicted, self.levels.get(bucket, QUANTILE))

    def to_json(self) -> dict[str, Any]:
        """Return the track as JSON data."""
        return {
            "pending": [[bucket, start, *values] for (bucket, start), values in sorted(self.pending.items())],
            "levels": {str(bucket): level for bucket, level in self.levels.items()},
            "seen": {str(bucket): [list(pair) for pair in pairs] for bucket, pairs in self.seen.items()},
        }


def track_from_json(data: Mapping[str, Any]) -> Track:
    """Read what `Track.to_json` wrote; anything else is an empty track."""
    try:
        return Track(
            pending={
                (int(bucket), int(start)): (float(predicted), float(high))
                for bucket, start, predicted, high in data.get("pending", [])
            },
            levels={int(bucket): float(level) for bucket, level in data.get("levels", {}).items()},
            seen={
                int(bucket): [(float(predicted), float(actual)) for predicted, actual in pairs]
                for bucket, pairs in data.get("seen", {}).items()
            },
        )
    except (TypeError, ValueError, AttributeError):
        return Track()


def learned_band(seen: Sequence[tuple[float, float]], predicted: float, level: float = QUANTILE) -> Band:
    """Return the band of a predicted load, learned from past (predicted, actual) loads.

    Parameters
    ----------
    seen
        Core-seconds, oldest first.
    predicted
        Core-seconds.
    level
        The quantile of past ratios for the upper end of the band.
    """
    ratios, weights = _observed(seen, predicted)
    order = np.argsort(ratios)
    ratios, weights = ratios[order], weights[order]
    high = _quantile(ratios, weights, level)
    # Use the mean, because loads add up; clip extreme ratios to the outer deciles.
    held = np.clip(ratios, _quantile(ratios, weights, 1 - QUANTILE), _quantile(ratios, weights, QUANTILE))
    mean = float(np.clip(np.sum(held * weights) / np.sum(weights), 1 / _MAX_BIAS, _MAX_BIAS))
    expected = max(0.0, (predicted + FLOOR_CORE_S) * mean - FLOOR_CORE_S) if predicted > 0 else 0.0
    above = (predicted + FLOOR_CORE_S) * high - FLOOR_CORE_S
    if predicted <= 0 and not seen:
        # Nothing unpredicted has ever come here.
        above = 0.0
    return Band(expected, max(expected * _LEAST_FACTOR, above), len(seen))


def _observed(seen: Sequence[tuple[float, float]], predicted: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ratios that count, with their weights; the prior's come first."""
    if not seen:
        return _PRIOR, np.ones(len(_PRIOR))
    pairs = np.asarray(seen, dtype=np.float64) + FLOOR_CORE_S
    ratios = np.clip(pairs[:, 1] / pairs[:, 0], _LOW, _HIGH)
    distance = np.log(pairs[:, 0] / (predicted + FLOOR_CORE_S)) / _SIMILAR
    age = np.arange(len(pairs) - 1, -1, -1)
    weights = np.maximum(np.exp(-0.5 * distance**2), _LEAST_WEIGHT) * 0.5 ** (age / _HALF_LIFE)
    return np.concatenate((_PRIOR, ratios)), np.concatenate((np.ones(len(_PRIOR)), weights))


def _quantile(ordered: NDArray[np.float64], weights: NDArray[np.float64], share: float) -> float:
    """Return a weighted quantile, linear between the midpoints of the weights."""
    position = (np.cumsum(weights) - 0.5 * weights) / np.sum(weights)
    return float(np.interp(share, position, ordered))


def bin_of(time: datetime) -> int:
    """Return the start of the bin that contains a time, epoch seconds."""
    return int(time.timestamp() // BIN_S * BIN_S)


def bucket_of(lead_s: float) -> int:
    """Return the lead bucket; anything beyond the last one belongs to it."""
    return next((index for index, end in enumerate(BUCKETS_S) if lead_s < end), len(BUCKETS_S) - 1)


def bins_ahead(now: datetime, horizon_s: float) -> Iterable[int]:
    """Return the starts of the whole bins between now and the horizon, epoch seconds."""
    first = -int(-now.timestamp() // BIN_S) * int(BIN_S)
    last = now.timestamp() + horizon_s - BIN_S
    return range(first, math.floor(last) + 1, int(BIN_S))
