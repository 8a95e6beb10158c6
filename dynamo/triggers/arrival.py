"""Trigger kind `arrival`: each accepted file of a feed whose name matches starts a workflow; pure."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import PurePath

from dynamo.inspection.facts import InputFacts
from dynamo.triggers.condition import Condition, Verdict, judge


@dataclass(frozen=True)
class ArrivalTrigger:
    """Which arrivals, and under which condition."""

    feed: str
    pattern: str = "*"
    condition: Condition | None = None

    def concerns(self, feed: str, path: PurePath) -> bool:
        """Whether the trigger has to do with this file at all."""
        return feed == self.feed and fnmatch.fnmatchcase(path.name, self.pattern)

    def judge(self, facts: InputFacts | None) -> Verdict:
        """Return whether an arrival with these facts starts the workflow; raises `InputError` as `judge`."""
        return judge(self.condition, facts)
