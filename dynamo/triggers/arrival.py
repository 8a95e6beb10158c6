"""Trigger kind `arrival`: each accepted file of a feed with a matching name starts a workflow."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from dynamo.config.file import Config
from dynamo.config.triggers import ConditionOption, FilePattern, TriggerSection
from dynamo.inspection.facts import InputFacts
from dynamo.triggers.base import Trigger, TriggerKind
from dynamo.triggers.book import Book
from dynamo.triggers.condition import Condition, condition_of, judge, levels_of
from dynamo.triggers.outlook.base import Outlook, Start
from dynamo.triggers.outlook.pictures import chance, shifted, steps
from dynamo.triggers.verdict import Verdict


class ArrivalOptions(TriggerSection):
    """Each file of the feed."""

    kind: Literal["arrival"] = "arrival"
    pattern: FilePattern = "*"
    condition: ConditionOption = None


@dataclass(frozen=True)
class ArrivalTrigger(Trigger):
    """Which arrivals, and under what condition."""

    pattern: str = "*"
    condition: Condition | None = None

    @property
    def levels(self) -> frozenset[float]:
        """The level of its condition."""
        return levels_of(self.condition)

    def concerns(self, feed: str, path: PurePath) -> bool:
        """Whether this file concerns the trigger."""
        return feed == self.feed and fnmatch.fnmatchcase(path.name, self.pattern)

    def judge(self, facts: InputFacts | None, book: Book) -> Verdict:  # noqa: ARG002 - the interface
        """Return whether an arrival with these facts starts the workflow; raise `InputError` as the condition does."""
        return judge(self.condition, facts)

    def expects(self, outlook: Outlook) -> Iterable[Start]:
        """Expect a run for each future file likely to meet the condition, judging from the newest file."""
        streams = outlook.streams(self.concerns)
        newest = outlook.facts([stream.newest for stream in streams])
        outlook.remark_on(streams)
        for stream in streams:
            facts = newest.get(stream.newest.id)
            for time in stream.expected(outlook.now, outlook.horizon_s):
                minutes = stream.minutes_to(time)
                if facts is None:
                    yield Start(time, 1.0, None)
                    continue
                picture = shifted(facts, minutes)
                known_as = ("arrival", stream.newest.id, steps(facts, minutes))
                yield Start(time, chance(self.condition, picture, minutes), picture, known_as)


def _make(options: ArrivalOptions, config: Config) -> ArrivalTrigger:
    return ArrivalTrigger(options.feed, options.pattern, condition_of(options.condition))


KIND = TriggerKind(ArrivalOptions, _make)
