"""Workers that were bought back soon after they had been released: the next ones are held longer.

How long fewer must have been enough cannot be one number: bursts may come every half minute or every ten. A release
that is followed by growth within a few windows was wrong, whatever the reason; each one doubles the group's window, and
a long calm halves it again. So a load with a period of up to ten minutes or so turns the fleet a few times, until the
window is longer than the period, and then no more; and a fleet between two numbers turns once in the longest window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Growth within so many windows after a release is regret. With fewer, the time ahead that growth looks at counts most.
_SOON = 4.0
#: And never later than this after it: what comes back after that was worth a boot, seconds.
_SOON_MOST_S = 1800.0
#: Windows double so often at most.
_HIGHEST = 8
#: After so long without regret the window is halved, seconds.
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
        Windows are not made longer than this.
    """

    def __init__(self, memory: Mapping[str, Mapping[str, Any]], clock: float, longest_s: float) -> None:
        self._clock = clock
        self._longest_s = longest_s
        self._known = {group: dict(values) for group, values in memory.items()}

    def window_s(self, group: str, base_s: float) -> float:
        """Return for how long fewer must have been enough, where ``base_s`` is right without regret."""
        known = self._known.get(group, {})
        return max(base_s, min(base_s * 2.0 ** int(known.get("level", 0)), self._longest_s))

    def changed(self, group: str, change: int, base_s: float) -> None:
        """Take note of by how much a group's number changes now; 0 for not at all."""
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
        """Return what the next decision needs."""
        return {group: values for group, values in self._known.items() if values}
