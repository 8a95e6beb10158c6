"""Ground truth of a day, minute by minute: which radar and nowcast files start runs, and their echo area."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dynamo.simulate.fleet.network import CONDITION_KM2, HOLD_S, PRECURSOR_KM2, Network, SimulatedFeed
from dynamo.simulate.fleet.weather import DAY_S, Storms

MINUTES = int(DAY_S / 60.0)


@dataclass(frozen=True, eq=False)
class SeenWeather:
    """Observed weather at each full minute of the day.

    Attributes
    ----------
    radar_km2
        Area at or above 45 dBZ in range of each radar, shape (minutes, radars).
    domain_km2
        The same for each part's domain, shape (minutes, parts).
    watched_until_min
        End of each radar's watch given observations so far, shape (minutes, radars); 0 if not yet watched.
    """

    radar_km2: NDArray[np.float64]
    domain_km2: NDArray[np.float64]
    watched_until_min: NDArray[np.float64]

    def due(self, feed: SimulatedFeed, column: int, minute: int) -> bool:
        """Return whether a file of ``feed`` at ``minute`` starts a run; ``column`` is its radar or part."""
        if feed.rule == "radar":
            return bool(self.watched_until_min[minute, column] > minute)
        return feed.rule == "always" or bool(self.domain_km2[minute, column] >= CONDITION_KM2)

    def area_km2(self, feed: SimulatedFeed, column: int, minute: int) -> float:
        """Return the echo area in a file."""
        return float((self.radar_km2 if feed.per_radar else self.domain_km2)[minute, column])


def find_truth(network: Network, storms: Storms) -> SeenWeather:
    """Compute the observed weather for the whole day."""
    radar = np.zeros((MINUTES, len(network.radars_km)))
    domain = np.zeros((MINUTES, network.parts))
    size = np.asarray(network.size_km)
    for minute in range(MINUTES):
        which = storms.alive(minute)
        if not which.size:
            continue
        area = storms.area_km2(which, minute)
        place = storms.position_km(which, minute)[area > 0]
        area = area[area > 0]
        if not area.size:
            continue
        apart = network.radars_km[:, None, :] - place[None, :, :]
        radar[minute] = ((apart**2).sum(axis=2) <= network.range_km**2) @ area
        inside = place[None, :, :] - network.corners_km[:, None, :]
        domain[minute] = ((inside >= 0) & (inside < size)).all(axis=2) @ area
    minutes = np.arange(MINUTES, dtype=np.float64)[:, None]
    seen = np.where(radar >= PRECURSOR_KM2, minutes + HOLD_S / 60.0, 0.0)
    return SeenWeather(radar, domain, np.maximum.accumulate(seen, axis=0))
