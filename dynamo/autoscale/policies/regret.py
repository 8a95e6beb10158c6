"""Hold workers longer after released ones had to be bought back.

No single settling window fits all: bursts may come every half minute or every ten. A release followed by growth within
a few windows was wrong, whatever the reason; each one doubles the group's window, and a long calm halves it again. So a
load with a period of up to about ten minutes turns the fleet a few times, until the window exceeds the period, and then
no more; and a fleet between two sizes turns once per longest window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Growth within this many windows after a release is regret. For short windows, growth's look-ahead dominates.
_SOON = 4.0
#: And never later than this after it: beyond that, the release was worth a boot, seconds.
_SOON_MOST_S = 1800.0
#: Maximum number of doublings.
_HIGHEST = 8
#: Time without regret after which the window is halved, seconds.
_CALM_S = 3 * 3600.0


class Regret:
    """Windows by group, kept as JSON data.

    Parameters
    ----------
    memory
        What `memory` returned at the last decision.
    clock
        Now, seconds since 1970.
    longest_s
        Maximum length of a window.
    """

    def __init__(self, memory: Mapping[str, Mapping[str, Any]], clock: float, longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._known = {group: dict(values) for group, values in memory.items()}

    def window_s(self, group: str, base_s: float) -> float:
        """Return how long fewer must have been enough; ``base_s`` without regret."""
        known = self._known.get(group, {})
        return max(base_s, min(base_s * 2.0 ** int(known.get("level", 0)), self._longest_s))

    def changed(self, group: str, change: int, base_s: float) -> None:
        """Record the current change of a group's number; 0 for none."""
        known = self._known.get(group, {})
        level, since = int(known.get("level", 0)), float(known.get("since", self._clock))
        fell: float | None = known.get("fell")
        window_s = self.window_s(group, base_s)
        soon_s = min(_SOON * window_s, _SOON_MOST_S)
        if change < 0:
            fell = self._clock
        elif change > 0 and fell is not None:
            if self._clock - fell < soon_s and window_s < self._longest_s:
                level, since = min(level + 1, _HIGHEST), self._clock
            fell = None
        if level and self._clock - since >= _CALM_S:
            level, since = level - 1, self._clock
        if fell is not None and self._clock - fell >= soon_s:
            fell = None
        kept: dict[str, Any] = {}
        if level:
            kept |= {"level": level, "since": since}
        if fell is not None:
            kept["fell"] = fell
        self._known[group] = kept

    def memory(self) -> dict[str, dict[str, Any]]:
        """Return the state for the next decision."""
        return {group: values for group, values in self._known.items() if values}
