"""The spells of hail work: the stored state of each radar, and the freezing level of the time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from dynamo.formats.sounding import choose_sounding
from dynamo.inspection.facts import InputFacts
from dynamo.store.inserts import insert_new
from dynamo.store.models import Cursor
from dynamo.times import utc_now
from dynamo.triggers.clock import ahead_of
from dynamo.triggers.condition import Verdict
from dynamo.triggers.precursor import PrecursorState, PrecursorTrigger, state_from_json
from dynamo.triggers.rules import Rule

#: Between 0 C and -20 C in the fallback atmosphere, metres; only the 0 C height matters here.
_ICE_LAYER_M = 3000.0


def judge_precursor(
    session: Session, rule: Rule, trigger: PrecursorTrigger, facts: InputFacts | None, now: datetime
) -> tuple[Verdict, str]:
    """Judge an arrival by a precursor trigger and store the state of its radar, in the caller's transaction.

    A file whose clock is ahead of ``now`` is refused before it touches the state: every later file would be an old one.

    Returns
    -------
    Verdict, str
        The verdict, whose data name the sounding that told the freezing level, and the action.

    Raises
    ------
    InputError
        If the arrival is not of a radar.
    """
    if facts is not None and (ahead := ahead_of(facts.issue_time, now)):
        data = {"radar": facts.radar, "flags": list(facts.flags), "unusable": True}
        return Verdict(False, f"{ahead}: not judged", data), "refuse"
    sounding = "number of the configuration"
    if rule.sounding is not None and facts is not None:
        chosen = choose_sounding(
            rule.sounding,
            facts.issue_time,
            fallback_zero_c_m=trigger.freezing_level_m,
            fallback_minus_20_c_m=trigger.freezing_level_m + _ICE_LAYER_M,
        )
        trigger, sounding = replace(trigger, freezing_level_m=chosen.zero_c_m), chosen.reason
    name = f"precursor {rule.name} {facts.radar if facts is not None else ''}"
    cursor = session.scalar(select(Cursor).where(Cursor.name == name).with_for_update())
    before = PrecursorState() if cursor is None else state_from_json(cursor.data)
    if before.seen is not None and ahead_of(before.seen, now):
        before = PrecursorState()
    verdict, after, action = trigger.judge(facts, before)
    if cursor is None:
        insert_new(session, Cursor, name=name, data=after.to_json(), updated_at=utc_now())
    elif after != before:
        cursor.data, cursor.updated_at = after.to_json(), utc_now()
    return replace(verdict, data={**verdict.data, "sounding": sounding}), action
