"""Skill of a forecast field against the observed one: the contingency table of exceeding a threshold.

Definitions as in Wilks, Statistical Methods in the Atmospheric Sciences, 3rd ed., section 8.2: a hit is a
cell where both reach the threshold, a miss where only the observation does, a false alarm where only the
forecast does. Cells with either missing do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynamo.errors import InputError


@dataclass(frozen=True)
class Contingency:
    """Numbers of cells; add tables to pool several cases."""

    hits: int
    misses: int
    false_alarms: int
    correct_negatives: int

    def __add__(self, other: Contingency) -> Contingency:
        return Contingency(
            self.hits + other.hits,
            self.misses + other.misses,
            self.false_alarms + other.false_alarms,
            self.correct_negatives + other.correct_negatives,
        )

    @property
    def csi(self) -> float:
        """Critical success index: hits / (hits + misses + false alarms); 0 to 1, NaN without any event."""
        return _ratio(self.hits, self.hits + self.misses + self.false_alarms)

    @property
    def pod(self) -> float:
        """Probability of detection: hits / (hits + misses); NaN without observed events."""
        return _ratio(self.hits, self.hits + self.misses)

    @property
    def far(self) -> float:
        """False alarm ratio: false alarms / (hits + false alarms); NaN without forecast events."""
        return _ratio(self.false_alarms, self.hits + self.false_alarms)

    @property
    def bias(self) -> float:
        """Frequency bias: forecast events / observed events; NaN without observed events."""
        return _ratio(self.hits + self.false_alarms, self.hits + self.misses)


def contingency(
    forecast: NDArray[np.floating[Any]], observed: NDArray[np.floating[Any]], threshold: float
) -> Contingency:
    """Count the cells where forecast and observation reach ``threshold`` (>=).

    Parameters
    ----------
    forecast, observed
        The same unit and shape; NaN where missing.
    threshold
        In that unit.

    Raises
    ------
    InputError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> counts = contingency(np.array([35.0, 40.0, 10.0]), np.array([38.0, 20.0, 31.0]), threshold=30.0)
    >>> counts
    Contingency(hits=1, misses=1, false_alarms=1, correct_negatives=0)
    >>> round(counts.csi, 2)
    0.33
    """
    if forecast.shape != observed.shape:
        raise InputError(f"a forecast of shape {forecast.shape}", expected=f"the shape observed, {observed.shape}")
    known = ~(np.isnan(forecast) | np.isnan(observed))
    yes, event = forecast >= threshold, observed >= threshold
    hits = int(np.count_nonzero(yes & event & known))
    false_alarms = int(np.count_nonzero(yes & known)) - hits
    misses = int(np.count_nonzero(event & known)) - hits
    return Contingency(hits, misses, false_alarms, int(np.count_nonzero(known)) - hits - misses - false_alarms)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
