"""How sites fail: five kinds, because there are five different things to do about it.

Drivers translate what their libraries raise into these, each in one place.
"""

from __future__ import annotations

from dynamo.errors import DynamoError


class SiteError(DynamoError):
    """A site refused or failed; ``where`` is the site."""

    exit_code = 8
    #: The word in events and `status`.
    kind = "permanent"


class SiteRetryableError(SiteError):
    """Slow, busy, unreachable or broken for now: the same call may succeed later, and may have had its effect."""

    kind = "retryable"
    exit_code = 5


class SiteQuotaError(SiteError):
    """The project's quota is used up: fewer workers, or a larger quota."""

    kind = "quota"


class SiteCapacityError(SiteError):
    """The site itself has no room now ("No valid host", no lease to be had): another site, or later."""

    kind = "no-capacity"


class SiteAuthError(SiteError):
    """Credentials are missing, wrong or expired: a person must act."""

    kind = "auth"


class SitePermanentError(SiteError):
    """The request itself is wrong (no such image, forbidden network): it will never succeed as it is."""

    kind = "permanent"
