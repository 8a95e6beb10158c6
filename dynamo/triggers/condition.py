"""A condition on the data of an arrival, in a small declarative form; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dynamo.config.triggers import ConditionSection
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts
from dynamo.triggers.verdict import Verdict

Leads = Literal["any", "all"] | tuple[int, ...]


@dataclass(frozen=True)
class Condition:
    """At least ``area_km2`` at or above ``level_dbz``, at any lead, at all leads, or at one of those listed."""

    area_km2: float
    level_dbz: float
    leads: Leads = "any"


def condition_of(section: ConditionSection | None) -> Condition | None:
    """Return the condition of a section of the configuration."""
    if section is None:
        return None
    leads = section.leads
    return Condition(section.area_km2, section.level_dbz, tuple(leads) if isinstance(leads, list) else leads)


def levels_of(condition: Condition | None) -> frozenset[float]:
    """Return the levels, dBZ, at which the condition needs areas."""
    return frozenset() if condition is None else frozenset({condition.level_dbz})


def judge(condition: Condition | None, facts: InputFacts | None) -> Verdict:
    """Return whether the facts of an arrival meet a condition.

    Parameters
    ----------
    condition
        None is always met.
    facts
        Facts of the arrival; they must include the areas at the condition's level.

    Raises
    ------
    InputError
        If the facts lack the area at that level, or have none of the leads listed.
    """
    if condition is None:
        return Verdict(True, "no condition")
    if facts is None or condition.level_dbz not in facts.area_km2:
        raise InputError(f"the arrival has no area at {condition.level_dbz:g} dBZ", where="condition")
    areas = _chosen(facts, condition)
    lead, largest = max(areas, key=lambda item: item[1])
    least_lead, least = min(areas, key=lambda item: item[1])
    every = condition.leads == "all"
    decisive_lead, decisive = (least_lead, least) if every else (lead, largest)
    start = decisive >= condition.area_km2
    which = "every lead" if every else "any lead" if condition.leads == "any" else "the leads listed"
    measured = f"{decisive:.1f} km2 at or above {condition.level_dbz:g} dBZ"
    required = f"{condition.area_km2:g} km2 required"
    if start or every:
        reason = f"{measured} at lead {decisive_lead} min, {required} at {which}"
    else:
        reason = f"at most {measured} at {which}, {required}"
    return Verdict(
        start,
        reason,
        {
            "area_km2": round(decisive, 3),
            "lead_min": decisive_lead,
            "wanted_km2": condition.area_km2,
            "level_dbz": condition.level_dbz,
            "leads": condition.leads if isinstance(condition.leads, str) else list(condition.leads),
        },
    )


def _chosen(facts: InputFacts, condition: Condition) -> Sequence[tuple[int, float]]:
    pairs = list(zip(facts.leads, facts.area_km2[condition.level_dbz], strict=True))
    if isinstance(condition.leads, tuple):
        pairs = [pair for pair in pairs if pair[0] in condition.leads]
    if not pairs:
        raise InputError("the arrival has none of the leads", where="condition.leads", expected=str(condition.leads))
    return pairs
