"""Translate what OpenStack, Blazar and their libraries raise into the five kinds of `SiteError`, only here.

The services use the same status for different reasons (403 is a quota in nova and a policy everywhere; 409 is a quota
in neutron, a full cloud in nova and a transient conflict elsewhere), so the text decides if the status does not.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dynamo.errors import DynamoError
from dynamo.provision.sites.errors import (
    SiteAuthError,
    SiteCapacityError,
    SiteError,
    SitePermanentError,
    SiteQuotaError,
    SiteRetryableError,
)
from dynamo.scrubbing import scrub

QUOTA_WORDS = re.compile(
    r"quota[- ]?(?:has been )?exceeded|exceed\w* .{0,60}quota|over ?quota|overlimit|quota .{0,40}too many"
    r"|maximum number of .{0,40}(?:exceeded|reached)|too many key ?pairs|would spend .{0,40}SUs?\b",
    re.IGNORECASE | re.DOTALL,
)
CAPACITY_WORDS = re.compile(
    r"no valid host|not enough (?:hosts|resources|instances|devices|networks|floating)|insufficient compute resources"
    r"|no more ip addresses|no hosts? (?:is |are )?available|no \w+ resources? available",
    re.IGNORECASE,
)
UNSUPPORTED_RESOURCE = re.compile(r"resource type is not supported|unsupported resource type", re.IGNORECASE)
#: The last server of a page was deleted before the next page was requested.
STALE_PAGE = re.compile(r"marker .{0,60}not be found", re.IGNORECASE)
_LONGEST_ANSWER = 300

_QUOTA_HINT = "use fewer or smaller workers here, or ask the site for a larger quota"
_CAPACITY_HINT = "use another site or another size, or wait"
_AUTH_HINT = (
    "check that the credentials are valid and not expired: `openstack --os-cloud NAME token issue`"
    " (of python-openstackclient);"
    " if expired, create a new application credential"
)
_RETRY_HINT = "will be retried; the request may have taken effect anyway"


class SiteBusyError(SiteRetryableError):
    """The site says when to retry (429 or 503 with Retry-After)."""

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: str | None = None,
        hint: str | None = None,
        retry_after_s: float = 0.0,
    ) -> None:
        super().__init__(what, where=where, expected=expected, hint=hint)
        self.retry_after_s = retry_after_s


def no_room(fault: str) -> bool:
    """Return whether a server's or lease's fault means that the site has no capacity now."""
    return CAPACITY_WORDS.search(fault) is not None


@contextmanager
def translated(site: str, doing: str, secrets: Collection[str] = ()) -> Iterator[None]:
    """Raise library exceptions in the block as `SiteError`.

    Parameters
    ----------
    site
        The site's name, for the error's ``where``.
    doing
        What is being done, e.g. "create server w-1"; part of the message.
    secrets
        Must never appear in a message; the block may add to it.
    """
    try:
        yield
    except DynamoError:
        raise
    except _families() as error:
        raise site_error(error, site=site, doing=doing, secrets=secrets) from error


def site_error(error: Exception, *, site: str, doing: str, secrets: Collection[str] = ()) -> SiteError:
    """Return the `SiteError` that tells the caller what ``error`` means."""
    status = _status(error)
    # A truncated secret would not be found.
    words = scrub(_words(error), secrets)[:_LONGEST_ANSWER]
    what = f"cannot {doing}: {words}"
    numbers = [f"HTTP {status}"] if status else []
    if request := _headers(error).get("x-openstack-request-id", ""):
        numbers.append(request)
    if numbers:
        what += f" [{', '.join(numbers)}]"
    if status is None:
        return _without_answer(error, what, site)
    if 400 <= status <= 404 and _at_login(error):
        return SiteAuthError(f"not logged in: {what}", where=site, hint=_AUTH_HINT)
    passing = (status == 404 and not _of_service(error)) or (status == 400 and STALE_PAGE.search(words))
    if passing:
        return SiteRetryableError(what, where=site, hint=_RETRY_HINT)
    return _by_status(status, words, what, site, _headers(error))


def sure_not_found(error: Exception) -> bool:
    """Return whether the service itself, not a proxy in front of it, says that a resource does not exist.

    A load balancer whose back end is gone also answers 404, in HTML; trusting that would lose servers.
    """
    return _status(error) == 404 and _of_service(error)


def _of_service(error: Exception) -> bool:
    if isinstance(
        getattr(error, "kwargs", None), Mapping
    ):  # blazarclient keeps only the JSON message, not the response
        return "not found" in str(error).lower() and "<" not in str(error)
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else None
    except ValueError:
        return False
    return isinstance(body, dict) and bool({"itemNotFound", "NeutronError", "error", "error_message"} & set(body))


def _at_login(error: Exception) -> bool:
    # The SDK and blazarclient raise their own exceptions for a service's refusals; keystoneauth's come from keystone.
    # It answers 404 for a deleted application credential, and 403 for a disabled user.
    from keystoneauth1.exceptions import HttpError

    return isinstance(error, HttpError)


def _by_status(status: int, words: str, what: str, site: str, headers: Mapping[str, str]) -> SiteError:
    wait_s = _retry_after_s(headers)
    if status == 401:
        return SiteAuthError(f"not logged in: {what}", where=site, hint=_AUTH_HINT)
    if status == 413 and wait_s:
        return SiteBusyError(what, where=site, hint=f"asked to wait {wait_s:.0f} s", retry_after_s=wait_s)
    if status == 413 or (status in (400, 403, 409) and QUOTA_WORDS.search(words)):
        return SiteQuotaError(f"the project's quota is used up: {what}", where=site, hint=_QUOTA_HINT)
    if UNSUPPORTED_RESOURCE.search(words):
        return SitePermanentError(what, where=site, hint="not offered by this site's reservation service")
    # Blazar says "Not enough hosts available" with whatever status its release uses for unknown failures, even 500.
    if status != 404 and no_room(words):
        return SiteCapacityError(f"the site has no capacity now: {what}", where=site, hint=_CAPACITY_HINT)
    if status in (429, 503) and wait_s:
        return SiteBusyError(what, where=site, hint=f"asked to wait {wait_s:.0f} s", retry_after_s=wait_s)
    if status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505)):
        return SiteRetryableError(what, where=site, hint=_RETRY_HINT)
    if status == 403:
        hint = "the credentials are valid, but this project or role lacks permission: ask the site's staff"
        return SitePermanentError(f"forbidden: {what}", where=site, hint=hint)
    return SitePermanentError(what, where=site, hint="correct the request; retrying will not help")


def _without_answer(error: Exception, what: str, site: str) -> SiteError:
    from keystoneauth1 import exceptions as ksa
    from openstack import exceptions as sdk

    if isinstance(error, ksa.SSLError):
        hint = "the site's certificate is not trusted: set `cacert` or `verify` in clouds.yaml"
        return SitePermanentError(what, where=site, hint=hint)
    if isinstance(error, sdk.ConfigException) and "valid region name" in what:
        return SitePermanentError(what, where=site, hint="correct `region` in the site's options")
    if isinstance(error, sdk.ConfigException | ksa.MissingRequiredOptions | ksa.NoMatchingPlugin | ksa.OptionError):
        hint = (
            "name a cloud from clouds.yaml (in the working directory, ~/.config/openstack, /etc/openstack or"
            " the file in OS_CLIENT_CONFIG_FILE), or set OS_AUTH_URL and the other OS_ variables"
        )
        return SiteAuthError(f"no usable credentials: {what}", where=site, hint=hint)
    if isinstance(error, ksa.EndpointNotFound | ksa.EmptyCatalog | ksa.MissingAuthPlugin):
        hint = "check `region` in the site's options, `region_name` in clouds.yaml, and what the site offers"
        return SitePermanentError(what, where=site, hint=hint)
    if isinstance(error, ksa.AuthorizationFailure | ksa.AuthPluginException) and not isinstance(
        error, ksa.ConnectionError
    ):
        return SiteAuthError(f"not logged in: {what}", where=site, hint=_AUTH_HINT)
    if isinstance(error, sdk.DuplicateResource | sdk.InvalidRequest | sdk.ValidationException):
        return SitePermanentError(what, where=site, hint="use the id instead of the name")
    # Timeouts, refused connections, answers that are not JSON, versions that cannot be discovered: the service is
    # down or only partly up.
    return SiteRetryableError(what, where=site, hint=_RETRY_HINT)


def _families() -> tuple[type[Exception], ...]:
    import requests
    from keystoneauth1 import exceptions as ksa
    from openstack import exceptions as sdk

    families: list[type[Exception]] = [sdk.SDKException, ksa.ClientException, requests.RequestException]
    # Only if in use: it is a separate extra.
    blazar = sys.modules.get("blazarclient.exception")
    if blazar is not None:
        families.append(blazar.BlazarClientException)
    return tuple(families)


def _status(error: Exception) -> int | None:
    for name in ("status_code", "http_status"):
        status = getattr(error, name, None)
        if isinstance(status, int) and status >= 400:
            return status
    kwargs = getattr(error, "kwargs", None)  # blazarclient
    if isinstance(kwargs, Mapping) and isinstance(kwargs.get("code"), int):
        return int(kwargs["code"])
    return None


def _headers(error: Exception) -> Mapping[str, str]:
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def _words(error: Exception) -> str:
    if isinstance(getattr(error, "kwargs", None), Mapping):
        # blazarclient's `message` is an unfilled template.
        words = str(error).removeprefix("ERROR: ")
    else:
        words = getattr(error, "details", None) or getattr(error, "message", None) or str(error)
    return " ".join(str(words or type(error).__name__).split())


def _retry_after_s(headers: Mapping[str, str]) -> float:
    # OpenStack's services do not use the other form HTTP allows, a date.
    try:
        return max(0.0, float(headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
