"""Policy for held jobs, by hold reason code.

Codes are from the HTCondor manual, table "HoldReasonCodes"; HTCondor holds a job that cannot continue.
"""

from __future__ import annotations

from typing import Literal

Verdict = Literal["wait", "release", "give up"]

#: Held by a user (1), submitted on hold (15), or waiting for input to be spooled (16): others will release it.
WAITING_HOLDS: frozenset[int] = frozenset({1, 15, 16})
#: May pass on another worker or a little later: the program could not be started (6), its files could not be opened
#: (7-10), a transfer was interrupted (11, 18) or failed (12, 13), the working folder was missing (14), the container
#: image was unavailable (35).
PASSING_HOLDS: frozenset[int] = frozenset({6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 35})

_TIME_LIMITS = {46: "total", 47: "execution"}
_RESOURCES = {34: "more than it requested"}


def judge(code: int, holds: int, *, max_holds: int) -> Verdict:
    """Return what to do about a hold; ``holds`` counts the job's holds, including this one."""
    if code in WAITING_HOLDS:
        return "wait"
    if code in PASSING_HOLDS and holds < max_holds:
        return "release"
    return "give up"


def explain(code: int, reason: str) -> str:
    """Return the reason for a hold as one line."""
    text = " ".join(reason.split()) or f"held with code {code}"
    if code in _TIME_LIMITS:
        return f"exceeded its time limit: {text}"
    if code in _RESOURCES:
        return f"used {_RESOURCES[code]}: {text}"
    return text
