"""Find out that what is still to be done cannot be done, however often it is tried: pure functions.

Wrong names, missing permissions and invalid credentials need a person; a full site or an unreachable one needs time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynamo.provision.deciding.breaker import SiteTrust
from dynamo.provision.sites.errors import SiteAuthError, SiteError, SitePermanentError

#: Failures of these kinds do not pass by themselves.
LASTING = frozenset({SiteAuthError.kind, SitePermanentError.kind})


def lasting_error(trust: SiteTrust) -> str:
    """Return the latest failure of a site if it will not pass; otherwise nothing."""
    return trust.error if trust.kind in LASTING else ""


def cannot_ask(error: SiteError | None) -> str:
    """Return why a site cannot be asked if that will not pass; otherwise nothing."""
    return str(error) if error is not None and error.kind in LASTING else ""


def all_hopeless(reasons: Mapping[str, str] | Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the reasons, each once, if everything unfinished has one; otherwise nothing: some of it may still work.

    Parameters
    ----------
    reasons
        By what is unfinished, why it cannot be finished; empty if it may be.
    """
    known = dict(reasons)
    if not all(known.values()):
        return ()
    return tuple(dict.fromkeys(known.values()))
