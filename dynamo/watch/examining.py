"""Examine a candidate file: is it complete, is it good, what does it contain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from dynamo.errors import InputError, RetryableError, passes
from dynamo.feeds.base import Candidate
from dynamo.feeds.completeness import FileLook, is_being_written, is_settled, look, name_problem
from dynamo.files import sha256_file
from dynamo.inspection.facts import InputFacts
from dynamo.inspection.process import inspect

#: Shortest delay before a file that changed while it was read is examined again.
_SOON_S = 0.05


@dataclass(frozen=True)
class Later:
    """It is not complete: examine it again after a delay, in seconds."""

    wait_s: float


@dataclass(frozen=True)
class Bad:
    """It is complete but unusable."""

    reason: str


@dataclass(frozen=True)
class Good:
    """It is complete: its facts and its checksum."""

    facts: InputFacts
    sha256: str


def examine(candidate: Candidate, seen: FileLook, levels: Sequence[float], settle_s: float) -> Later | Bad | Good:
    """Examine a candidate.

    Parameters
    ----------
    candidate, seen
        The file, and its status when first seen.
    levels
        Reflectivities, dBZ, at which to measure areas.
    settle_s
        Seconds it must stay unchanged if nobody reported that its writer is done, and before it counts as bad.

    Raises
    ------
    OSError, RetryableError
        If it cannot be read now but may be readable later.
    """
    path = candidate.path
    settled = is_settled(seen, time.time(), settle_s)
    if problem := seen.problem or name_problem(path):
        return _bad(candidate, seen, problem, settled, settle_s)
    if (not candidate.told and not settled) or is_being_written(path):
        return Later(_wait_s(seen, settle_s))
    try:
        facts = inspect(path, levels)
        digest = sha256_file(path)
    except InputError as error:
        return _bad(candidate, seen, str(error).removeprefix(f"{path}: "), settled, settle_s)
    except (OSError, RetryableError) as error:
        if passes(error) or look(path) is None:
            raise
        why = error.strerror if isinstance(error, OSError) else error
        return _bad(candidate, seen, f"cannot be read: {why}", settled, settle_s)
    except Exception as error:  # broken files make the NetCDF libraries fail in all sorts of ways
        return _bad(candidate, seen, f"cannot be read: {type(error).__name__}: {error}", settled, settle_s)
    after = look(path)
    if after is None or (after.size, after.mtime_ns) != (seen.size, seen.mtime_ns):
        return Later(max(_SOON_S, min(settle_s, 0.5)))
    return Good(facts, digest)


def _bad(candidate: Candidate, seen: FileLook, reason: str, settled: bool, settle_s: float) -> Later | Bad:
    """Return that a file is bad, once it has been stable for a while: its writer may not be done."""
    # Reading it may have taken that long.
    settled = settled or (look(candidate.path) == seen and is_settled(seen, time.time(), settle_s))
    if not settled or (not seen.problem and is_being_written(candidate.path)):
        return Later(_wait_s(seen, settle_s))
    return Bad(reason)


def _wait_s(seen: FileLook, settle_s: float) -> float:
    remaining = seen.changed_s + settle_s - time.time()
    return max(_SOON_S, min(remaining, settle_s)) if remaining > 0 else max(_SOON_S, min(settle_s, 1.0))
