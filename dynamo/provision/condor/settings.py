"""Times and places of workers that an operator may change."""

from __future__ import annotations

from dataclasses import dataclass

from dynamo.errors import UsageError


@dataclass(frozen=True)
class WorkerSettings:
    """How workers behave; all times in seconds.

    Attributes
    ----------
    token_s
        How long a worker's token is good; a living worker asks for the next one after a third of it.
    boot_s
        How long papers are good, from their making to the worker's first question.
    grace_s
        After how long without an answer of the pool a worker ends itself. Restarts of the manager must fit in.
    check_s
        How often a worker looks whether its pool is there.
    noclaim_s
        After how long without any job a worker ends itself; 0: never.
    update_s
        How often a worker shows itself to the collector when nothing changes.
    """

    token_s: int = 24 * 3600
    boot_s: int = 3600
    grace_s: int = 900
    check_s: int = 60
    noclaim_s: int = 12 * 3600
    update_s: int = 30

    @property
    def fresh_s(self) -> int:
        """For how long a worker counts as seen after it has shown itself: three times may go astray."""
        return 3 * self.update_s + 10

    def __post_init__(self) -> None:
        """Refuse times that cannot work together."""
        for name in ("token_s", "boot_s", "grace_s", "check_s", "update_s"):
            if getattr(self, name) < 1:
                raise UsageError("not a time", where=name, expected="1 second or more")
        if self.noclaim_s < 0:
            raise UsageError("not a time", where="noclaim_s", expected="0 (never) or a number of seconds")
        if self.check_s >= self.grace_s:
            raise UsageError("workers would give up at the first look", where="grace_s", expected="more than check_s")
        if self.check_s * 3 > self.token_s:
            raise UsageError("tokens would run out between two looks", where="token_s", expected="3 check_s or more")
