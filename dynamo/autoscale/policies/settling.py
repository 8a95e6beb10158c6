"""Fewer workers only when fewer have been enough for a while: what keeps policies from swinging.

A sliding maximum: a group follows the largest number that was aimed at within the window. Growth passes at once.
So after a group was found to need ``n`` workers it does not fall below ``n`` for a whole window, and its direction
can change at most twice in each window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Settling:
    """Sliding maxima by group, kept as JSON data.

    Parameters
    ----------
    memory
        What `memory` returned at the last decision.
    clock
        Now, seconds since 1970.
    """

    def __init__(self, memory: Mapping[str, Any], clock: float) -> None:
        self._clock = clock
        self._known: dict[str, list[list[float]]] = {
            group: [[float(at), float(aim)] for at, aim in steps] for group, steps in memory.items()
        }
        self._kept: dict[str, list[list[float]]] = {}

    def settle(self, group: str, aim: int, count: int, window_s: float) -> int:
        """Return the largest number aimed at within the window, among them ``aim`` itself.

        Parameters
        ----------
        group
            Whose number it is.
        aim
            What would be right now.
        count
            What it has: where nothing is remembered, that was right until now.
        window_s
            For how long less must have been enough.
        """
        steps: Sequence[Sequence[float]] = self._known.get(group) or [[self._clock, float(count)]]
        # Each entry: until when a number was aimed at. Only those larger than all later ones can matter.
        left = [[at, value] for at, value in steps if self._clock - at < window_s and value > aim]
        left.append([self._clock, float(aim)])
        self._kept[group] = left
        return int(max(value for _, value in left))

    def memory(self) -> dict[str, list[list[float]]]:
        """Return what the next decision needs."""
        return self._kept
