"""Pause a failing site for a while: pure functions on its recent history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta


@dataclass(frozen=True)
class BreakerSettings:
    """When and for how long a site is paused.

    Attributes
    ----------
    failures
        Consecutive transient failures before the pause.
    base_s, max_s
        The first and the longest pause; each further failure doubles it.
    """

    failures: int = 3
    base_s: float = 30.0
    max_s: float = 1800.0


@dataclass(frozen=True)
class SiteTrust:
    """A site's recent history.

    Attributes
    ----------
    failures
        Consecutive failures.
    retry_at
        When the pause ends; None if nothing is wrong.
    kind, error
        Of the latest failure, with the kinds of `dynamo.provision.sites.errors`.
    """

    failures: int = 0
    retry_at: datetime | None = None
    kind: str = ""
    error: str = ""

    def closed(self, now: datetime) -> bool:
        """Return whether the site may be asked for new workers."""
        return self.retry_at is None or now >= self.retry_at

    @property
    def probing(self) -> bool:
        """Whether requests only probe if the site works again, one at a time."""
        return self.retry_at is not None


HEALTHY = SiteTrust()
#: Retrying at once does not help, so the first one suffices.
_AT_ONCE = frozenset({"auth", "permanent", "no-capacity", "quota"})


def failed(
    health: SiteTrust, kind: str, error: str, now: datetime, settings: BreakerSettings, jitter: float
) -> SiteTrust:
    """Return the site's trust after a failure.

    Parameters
    ----------
    health, kind, error, now, settings
        The previous state, what happened, and when.
    jitter
        0 to 1, random: spreads the next attempts of several provisioners over a quarter of the pause.
    """
    if health.retry_at is not None and now < health.retry_at:
        # Answers to calls made before the pause.
        return replace(health, kind=kind, error=error)
    failures = health.failures + 1
    excess = failures - 1 if kind in _AT_ONCE else failures - settings.failures
    if excess < 0:
        return SiteTrust(failures, None, kind, error)
    wait_s = min(settings.max_s, settings.base_s * 2.0 ** min(excess, 30))
    return SiteTrust(failures, now + timedelta(seconds=wait_s * (1.0 - 0.25 * jitter)), kind, error)
