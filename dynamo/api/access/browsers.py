"""What may be asked for without a token: not what another site's page has a browser ask for, or a proxy passes on.

With a cookie, a browser sends who is logged in along with whatever any page has it ask for: the same holds there.

A browser says where a request comes from (`Sec-Fetch-Site`, `Origin`), and by which name it knows the server (`Host`):
a page whose own name was made to lead here (DNS rebinding) has that name there.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from dynamo.api.problems import Refusal

_NAMES = ("localhost", "127.0.0.1", "[::1]")
_SAFE = ("GET", "HEAD")
_OWN = ("same-origin", "none")
#: A proxy says with these that somebody else asks.
_PASSED_ON = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


def refuse_foreign(request: Request) -> None:
    """Refuse a request without a token that a page of another site or a proxy has sent.

    Raises
    ------
    Refusal
        403 if so.
    """
    if any(name in request.headers for name in _PASSED_ON):
        raise _refusal("a proxy passed it on")
    host = request.headers.get("host", "")
    if host.rpartition(":")[0] not in _NAMES and host not in _NAMES:
        raise _refusal(f"unknown name of this server: {host!r:.80}")
    refuse_other_sites(request)


def refuse_other_sites(request: Request, *, scheme: str = "", asks: bool = False) -> None:
    """Refuse a request that a page of another site has sent.

    Parameters
    ----------
    scheme
        What browsers speak with this server, if it is only one.
    asks
        Whether an order must say where it comes from, as all browsers do.

    Raises
    ------
    Refusal
        403 if so.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if origin is not None:
        parts = urlsplit(origin)
        own = parts.netloc == request.headers.get("host", "") and scheme in ("", parts.scheme)
        if origin == "null" or not own:
            raise _refusal(f"a page of {origin!r:.80} sent it")
    # Following a link to a product is not a page's request: the page never sees the answer.
    follows = request.method in _SAFE and request.headers.get("sec-fetch-mode") == "navigate"
    if site is not None and site not in _OWN and not follows:
        raise _refusal("a page of another site sent it")
    if asks and request.method not in _SAFE and origin is None and site is None:
        raise _refusal("it does not say which page sent it")


def _refusal(why: str) -> Refusal:
    return Refusal(403, f"not without a token: {why}", expected="a request from this server's own pages, or a token")
