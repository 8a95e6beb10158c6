"""What becomes of a job that HTCondor holds, by the code of its reason.

The codes are those of the HTCondor manual, table "HoldReasonCodes"; a hold is HTCondor's way to say that a job cannot
go on as it is.
"""

from __future__ import annotations

from typing import Literal

Verdict = Literal["wait", "release", "give up"]

#: A person did it (1), it was submitted on hold (15), or it waits for input to be spooled (16): they let it go on.
WAITING_HOLDS: frozenset[int] = frozenset({1, 15, 16})
#: May pass on another worker or a little later: the program could not be started (6), its files could not be opened
#: (7-10), a transfer broke off (11, 18) or failed (12, 13), the working folder was not there (14), the container's
#: image could not be had (35).
PASSING_HOLDS: frozenset[int] = frozenset({6, 7, 8, 9, 10, 11, 12, 13, 14, 18, 35})

_TIME_LIMITS = {46: "in all", 47: "of execution"}
_RESOURCES = {34: "more than it asked for"}


def judge(code: int, holds: int, *, max_holds: int) -> Verdict:
    """Return what to do about a hold; ``holds`` counts the job's holds, this one included."""
    if code in WAITING_HOLDS:
        return "wait"
    if code in PASSING_HOLDS and holds < max_holds:
        return "release"
    return "give up"


def explain(code: int, reason: str) -> str:
    """Return the reason of a hold as one line."""
    text = " ".join(reason.split()) or f"held with code {code}"
    if code in _TIME_LIMITS:
        return f"took longer than its time limit: {text}"
    if code in _RESOURCES:
        return f"used {_RESOURCES[code]}: {text}"
    return text
