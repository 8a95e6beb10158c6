"""Site errors: five kinds, because there are five different ways to react.

Each driver translates its libraries' exceptions into these in one place.
"""

from __future__ import annotations

from dynamo.errors import DynamoError


class SiteError(DynamoError):
    """A site refused or failed; ``where`` is the site."""

    exit_code = 8
    #: The word in events and `status`.
    kind = "permanent"


class SiteRetryableError(SiteError):
    """Slow, busy, unreachable or broken for now: the same call may succeed later, and may have taken effect."""

    kind = "retryable"
    exit_code = 5


class SiteQuotaError(SiteError):
    """The project's quota is used up: use fewer workers or get a larger quota."""

    kind = "quota"


class SiteCapacityError(SiteError):
    """The site has no capacity now ("No valid host", no lease available): use another site or wait."""

    kind = "no-capacity"


class SiteAuthError(SiteError):
    """Credentials are missing, wrong or expired: an operator must act."""

    kind = "auth"


class SitePermanentError(SiteError):
    """The request is wrong (unknown image, forbidden network): it will never succeed unchanged."""

    kind = "permanent"
