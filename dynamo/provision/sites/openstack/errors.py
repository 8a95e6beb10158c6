"""What OpenStack, Blazar and their libraries raise, translated into the five kinds of `SiteError`: here, nowhere else.

The services answer alike for unlike reasons (403 is a quota in nova and a policy everywhere; 409 is a quota in neutron,
a full cloud in nova and a passing conflict elsewhere), so the words of the answer decide where the status does not.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from dynamo.errors import DynamoError
from dynamo.provision.sites.errors import (
    SiteAuthError,
    SiteCapacityError,
    SiteError,
    SitePermanentError,
    SiteQuotaError,
    SiteRetryableError,
)

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
#: The last server of a page was deleted before the next page was asked for.
STALE_PAGE = re.compile(r"marker .{0,60}not be found", re.IGNORECASE)
_TOKEN = re.compile(r"gAAAA[\w-]{16,}=*")
#: What stands for a person in an address.
_USER_INFO = re.compile(r"(?<=://)[^/@\s\"'<>]+@")
_LONGEST_ANSWER = 300

_QUOTA_HINT = "fewer or smaller workers here, or ask the site for a larger quota"
_CAPACITY_HINT = "use another site or another size, or wait"
_AUTH_HINT = (
    "see whether the credentials are right and have not expired: `openstack --os-cloud NAME token issue`;"
    " make a new application credential where they have"
)
_RETRY_HINT = "it is tried again; what was asked for may exist all the same"


class SiteBusyError(SiteRetryableError):
    """The site says when it wants to be asked again (429 or 503 with Retry-After)."""

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
    """Return whether a server's or lease's fault says that the site has no room now."""
    return CAPACITY_WORDS.search(fault) is not None


def scrub(text: str, secrets: Collection[str] = ()) -> str:
    """Return ``text`` without ``secrets``, as they are or as JSON and addresses write them, users, and tokens."""
    forms = {form for one in secrets if one for form in (one, json.dumps(one)[1:-1], quote(one, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return _TOKEN.sub("***", _USER_INFO.sub("***@", text))


@contextmanager
def translated(site: str, doing: str, secrets: Collection[str] = ()) -> Iterator[None]:
    """Raise what the libraries raise in the block as a `SiteError`.

    Parameters
    ----------
    site
        The site's name, for the error's ``where``.
    doing
        What is being done, as "create server w-1"; the message begins with it.
    secrets
        Never to appear in a message; may be filled in the block.
    """
    try:
        yield
    except DynamoError:
        raise
    except _families() as error:
        raise site_error(error, site=site, doing=doing, secrets=secrets) from error


def site_error(error: Exception, *, site: str, doing: str, secrets: Collection[str] = ()) -> SiteError:
    """Return the `SiteError` that says what ``error`` means for the caller."""
    status = _status(error)
    # A secret that is cut in two would not be found.
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
    """Return whether the service itself, not something in front of it, says that a resource does not exist.

    A load balancer whose back end is gone answers 404 too, in HTML; taking that for an answer would lose servers.
    """
    return _status(error) == 404 and _of_service(error)


def _of_service(error: Exception) -> bool:
    if isinstance(getattr(error, "kwargs", None), Mapping):  # blazarclient keeps no response, only its JSON's words
        return "not found" in str(error).lower() and "<" not in str(error)
    response = getattr(error, "response", None)
    try:
        body = response.json() if response is not None else None
    except ValueError:
        return False
    return isinstance(body, dict) and bool({"itemNotFound", "NeutronError", "error", "error_message"} & set(body))


def _at_login(error: Exception) -> bool:
    # The SDK and blazarclient turn a service's refusals into exceptions of their own; keystoneauth's are of keystone.
    # It answers 404 for an application credential that is gone, and 403 for a user who is disabled.
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
        return SitePermanentError(what, where=site, hint="this site's reservation service does not offer that")
    # Blazar says "Not enough hosts available" with whatever status its release has for an unknown failure, 500 too.
    if status != 404 and no_room(words):
        return SiteCapacityError(f"the site has no room now: {what}", where=site, hint=_CAPACITY_HINT)
    if status in (429, 503) and wait_s:
        return SiteBusyError(what, where=site, hint=f"asked to wait {wait_s:.0f} s", retry_after_s=wait_s)
    if status in (408, 409, 425, 429) or (status >= 500 and status not in (501, 505)):
        return SiteRetryableError(what, where=site, hint=_RETRY_HINT)
    if status == 403:
        hint = "the credentials are good, but this project or role may not do that: ask the site's staff"
        return SitePermanentError(f"forbidden: {what}", where=site, hint=hint)
    return SitePermanentError(what, where=site, hint="correct the request; repeating it will not help")


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
            "name a cloud that is in clouds.yaml (in the working directory, ~/.config/openstack, /etc/openstack or"
            " where OS_CLIENT_CONFIG_FILE points), or set OS_AUTH_URL and the other OS_ variables"
        )
        return SiteAuthError(f"no usable credentials: {what}", where=site, hint=hint)
    if isinstance(error, ksa.EndpointNotFound | ksa.EmptyCatalog | ksa.MissingAuthPlugin):
        hint = "see `region` in the site's options and `region_name` in clouds.yaml, and what the site offers"
        return SitePermanentError(what, where=site, hint=hint)
    if isinstance(error, ksa.AuthorizationFailure | ksa.AuthPluginException) and not isinstance(
        error, ksa.ConnectionError
    ):
        return SiteAuthError(f"not logged in: {what}", where=site, hint=_AUTH_HINT)
    if isinstance(error, sdk.DuplicateResource | sdk.InvalidRequest | sdk.ValidationException):
        return SitePermanentError(what, where=site, hint="use an id in place of the name")
    # Time-outs, refused connections, answers that are not JSON, versions that cannot be discovered: the service is
    # away or half up.
    return SiteRetryableError(what, where=site, hint=_RETRY_HINT)


def _families() -> tuple[type[Exception], ...]:
    import requests
    from keystoneauth1 import exceptions as ksa
    from openstack import exceptions as sdk

    families: list[type[Exception]] = [sdk.SDKException, ksa.ClientException, requests.RequestException]
    # Only where it is in use: it is an extra of its own.
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
        # blazarclient's `message` is a template that nobody fills.
        words = str(error).removeprefix("ERROR: ")
    else:
        words = getattr(error, "details", None) or getattr(error, "message", None) or str(error)
    return " ".join(str(words or type(error).__name__).split())


def _retry_after_s(headers: Mapping[str, str]) -> float:
    # The other form that HTTP allows, a date, is not used by OpenStack's services.
    try:
        return max(0.0, float(headers.get("Retry-After", "0")))
    except ValueError:
        return 0.0
