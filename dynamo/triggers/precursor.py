"""Trigger kind `precursor`: each file of a radar while hail may form; the store keeps each radar's spell."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path, PurePath
from typing import Literal

from pydantic import Field

from dynamo.config.alerts import AlertsSection
from dynamo.config.file import Config
from dynamo.config.triggers import FilePattern, TriggerSection
from dynamo.documents.section import Section
from dynamo.formats.sounding import choose_sounding
from dynamo.inspection.facts import InputFacts
from dynamo.times import ahead_of
from dynamo.triggers.base import Trigger, TriggerKind
from dynamo.triggers.book import Book
from dynamo.triggers.outlook.base import Outlook, Start
from dynamo.triggers.outlook.hail import Spell
from dynamo.triggers.spells import Precursor, PrecursorState, state_from_json
from dynamo.triggers.verdict import Verdict

#: Between 0 C and -20 C in the fallback atmosphere, meters; only the 0 C height matters here.
_ICE_LAYER_M = 3000.0


class PrecursorSection(Section):
    """Start when strong echo reaches above 0 C; stop once it has been gone for a while."""

    sounding: str | None = Field(
        None,
        description="Sounding (Wyoming text) with the 0 C height; `freezing_level_m` is used if it is rejected.",
    )
    freezing_level_m: float = Field(
        4200.0, ge=-500, le=8000, description="Height of 0 C above sea level, in m, without a usable sounding."
    )
    level_dbz: float = Field(45.0, ge=0, le=80, description="Reflectivity of strong echo above the 0 C height, in dBZ.")
    area_km2: float = Field(2.0, gt=0, description="Area of strong echo that starts the work, in km2.")
    low_level_dbz: float = Field(
        50.0,
        ge=0,
        le=80,
        description="Reflectivity that counts at any height where no beam is above 0 C, in dBZ.",
    )
    low_area_km2: float = Field(2.0, gt=0, description="Area at `low_level_dbz` that starts the work, in km2.")
    stop_share: float = Field(0.5, gt=0, le=1, description="The echo counts as gone below this share of the area.")
    hold_min: float = Field(
        20.0,
        ge=0,
        le=1440,
        description="Continue for N minutes after the echo is gone; must exceed `alerts.clear_min`, or no product ever "
        "reports that the hail is over.",
    )


class PrecursorOptions(TriggerSection):
    """Each file of a radar while hail may form."""

    kind: Literal["precursor"] = "precursor"
    pattern: FilePattern = "*"
    precursor: PrecursorSection = Field(
        PrecursorSection(),
        description="Thresholds; see below.",
        examples=[{"level_dbz": 45, "area_km2": 2, "sounding": "sounding.txt"}],
    )

    def problem(self, feeds: Sequence[str], alerts: AlertsSection) -> str:
        """Return what conflicts with the rest of the file, such as a hold too short for alerts."""
        hold_min = self.precursor.hold_min
        if alerts.places and hold_min <= alerts.clear_min:
            return (
                f"trigger {self.name}: precursor.hold_min {hold_min:g} must exceed alerts.clear_min "
                f"{alerts.clear_min:g}, or nobody is told that the hail is over"
            )
        return super().problem(feeds, alerts)


@dataclass(frozen=True)
class PrecursorTrigger(Trigger):
    """When hail work is worth it.

    Parameters
    ----------
    feed, pattern
        The files it judges.
    precursor
        When a spell starts and ends.
    sounding
        Gives the height of 0 C, instead of the number in ``precursor``.
    """

    pattern: str = "*"
    precursor: Precursor = field(default_factory=Precursor)
    sounding: Path | None = None

    @property
    def levels(self) -> frozenset[float]:
        """The reflectivities of the precursor."""
        return frozenset(self.precursor.levels)

    def concerns(self, feed: str, path: PurePath) -> bool:
        """Whether this file concerns the trigger."""
        return feed == self.feed and fnmatch.fnmatchcase(path.name, self.pattern)

    def judge(self, facts: InputFacts | None, book: Book) -> Verdict:
        """Judge a file of a radar, and keep the state of its spell.

        The verdict's data name the sounding that gave the freezing level.

        Raises
        ------
        InputError
            If the file is not from a radar.
        """
        precursor, told_by = self._at(facts)
        key = "" if facts is None else facts.radar
        known = book.recall(key).data if key else {}
        before = state_from_json(known)
        if before.seen is not None and ahead_of(before.seen, book.now):
            before = PrecursorState()
        verdict, after, action = precursor.judge(facts, before)
        if after.to_json() != known:
            book.keep(after.to_json(), key=key)
        return replace(verdict, data={**verdict.data, "sounding": told_by}, action=action)

    def expects(self, outlook: Outlook) -> Iterable[Start]:
        """Expect a run for each future file of a radar whose spell lasts or will start."""
        spells = self.activity(outlook)
        outlook.remark_on([spell.stream for spell in spells])
        newest = outlook.facts([spell.stream.newest for spell in spells])
        for spell in spells:
            facts = newest.get(spell.stream.newest.id)
            known_as = None if facts is None else ("radar", facts.format, facts.shape, len(facts.leads), facts.radar)
            for time in spell.stream.expected(outlook.now, outlook.horizon_s):
                yield Start(time, spell.chance(outlook.now, time), facts, known_as)

    def activity(self, outlook: Outlook) -> Sequence[Spell]:
        """Return the spell of each radar, with the storms that the newest nowcast shows near it."""
        streams = outlook.streams(self.concerns)
        newest = outlook.facts([stream.newest for stream in streams])
        known = outlook.recall()
        return [
            Spell(
                stream,
                state_from_json(known.get(stream.radar, {})),
                self.precursor,
                outlook.storms_near(newest.get(stream.newest.id)),
            )
            for stream in streams
        ]

    def _at(self, facts: InputFacts | None) -> tuple[Precursor, str]:
        """Return the precursor with the freezing level at the time, and its source."""
        if self.sounding is None or facts is None:
            return self.precursor, "number of the configuration"
        height_m = self.precursor.freezing_level_m
        chosen = choose_sounding(
            self.sounding,
            facts.issue_time,
            fallback_zero_c_m=height_m,
            fallback_minus_20_c_m=height_m + _ICE_LAYER_M,
        )
        return replace(self.precursor, freezing_level_m=chosen.zero_c_m), chosen.reason


def _make(options: PrecursorOptions, config: Config) -> PrecursorTrigger:
    numbers = options.precursor
    precursor = Precursor(
        freezing_level_m=numbers.freezing_level_m,
        level_dbz=numbers.level_dbz,
        area_km2=numbers.area_km2,
        low_level_dbz=numbers.low_level_dbz,
        low_area_km2=numbers.low_area_km2,
        stop_share=numbers.stop_share,
        hold=timedelta(minutes=numbers.hold_min),
    )
    sounding = None if numbers.sounding is None else config.path(numbers.sounding)
    return PrecursorTrigger(options.feed, options.pattern, precursor, sounding)


KIND = TriggerKind(PrecursorOptions, _make)
