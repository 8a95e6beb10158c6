"""Where to go after a login: a page of this server, never another host."""

from __future__ import annotations

from urllib.parse import urlsplit

#: A cookie keeps it during the login.
_LONGEST = 2000
HOME = "/"


def local_path(text: str) -> str:
    """Return an address if browsers take it for a page of this server, else that of the first page.

    Browsers read a backslash as a slash, leave out tabs and line breaks, and take two slashes for the start of a host.

    Examples
    --------
    >>> local_path("/runs?state=failed"), local_path("//evil.example"), local_path("/\\\\evil.example")
    ('/runs?state=failed', '/', '/')
    """
    odd = "\\" in text or any(ord(character) <= 32 or ord(character) == 127 for character in text)
    if odd or not text.isascii() or not text.startswith("/") or text.startswith("//") or len(text) > _LONGEST:
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    # Answers of the API are no pages: the login itself would go round in circles.
    return HOME if parts.scheme or parts.netloc or parts.path.startswith("/v1") else text
