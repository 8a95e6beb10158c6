"""A trigger's verdict: whether its workflow starts, why, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """Whether a trigger starts its workflow, why, and the numbers behind it.

    ``action`` is the word the decision is stored under, if not ``start`` or ``refuse``.
    """

    start: bool
    reason: str
    data: dict[str, Any] = field(default_factory=dict)
    action: str = ""

    @property
    def word(self) -> str:
        """The word the decision is stored under."""
        return self.action or ("start" if self.start else "refuse")


def unusable(reason: str) -> Verdict:
    """Return the verdict on what cannot be judged: it says nothing about the weather."""
    return Verdict(False, reason, {"unusable": True})
