"""Shrink only after fewer workers have been enough for a while, to keep policies from oscillating.

A sliding maximum: a group follows its largest target within the window. Growth passes at once. So a group that needed
``n`` workers does not fall below ``n`` for a whole window, and it changes direction at most twice per window.
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
        """Return the largest target within the window, including ``aim``.

        Parameters
        ----------
        group
            Name of the group.
        aim
            The current target.
        count
            Its current number, used as the previous target if nothing is remembered.
        window_s
            How long fewer must have been enough.
        """
        steps: Sequence[Sequence[float]] = self._known.get(group) or [[self._clock, float(count)]]
        # Each entry: the last time of a target, and the target. Only those larger than all later ones matter.
        left = [[at, value] for at, value in steps if self._clock - at < window_s and value > aim]
        left.append([self._clock, float(aim)])
        self._kept[group] = left
        return int(max(value for _, value in left))

    def memory(self) -> dict[str, list[list[float]]]:
        """Return the state for the next decision."""
        return self._kept
