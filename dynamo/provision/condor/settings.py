"""Worker settings an operator may change."""

from __future__ import annotations

from dataclasses import dataclass

from dynamo.errors import UsageError


@dataclass(frozen=True)
class WorkerSettings:
    """Settings for workers; all times in seconds.

    Attributes
    ----------
    token_s
        Lifetime of a worker's token; a living worker requests the next one after a third of it.
    boot_s
        Lifetime of join papers, from their creation to the worker's first request.
    grace_s
        A worker shuts down after this long without an answer from the pool. Must cover restarts of the manager.
    check_s
        Interval at which a worker checks that its pool is there.
    noclaim_s
        A worker shuts down after this long without a job; 0: never.
    update_s
        Interval at which a worker updates the collector when nothing changes.
    idle_claim_s
        A processor that is claimed but has no job for this long is freed if jobs wait.
    """

    token_s: int = 24 * 3600
    boot_s: int = 3600
    grace_s: int = 900
    check_s: int = 60
    noclaim_s: int = 12 * 3600
    update_s: int = 30
    idle_claim_s: int = 60

    @property
    def fresh_s(self) -> int:
        """How long a worker counts as seen after an update: allows for lost ones."""
        return 3 * self.update_s + 10

    def __post_init__(self) -> None:
        """Refuse inconsistent times."""
        for name in ("token_s", "boot_s", "grace_s", "check_s", "update_s", "idle_claim_s"):
            if getattr(self, name) < 1:
                raise UsageError("invalid time", where=name, expected="1 second or more")
        if self.noclaim_s < 0:
            raise UsageError("invalid time", where="noclaim_s", expected="0 (never) or a number of seconds")
        if self.check_s >= self.grace_s:
            raise UsageError("workers would give up at the first check", where="grace_s", expected="more than check_s")
        if self.check_s * 3 > self.token_s:
            raise UsageError("tokens would expire between two checks", where="token_s", expected="3 check_s or more")
