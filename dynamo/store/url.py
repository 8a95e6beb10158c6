"""Display of store URLs without passwords."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session

_HIDDEN = "hidden"
_CREDENTIALS = re.compile(r"//.*@", re.DOTALL)


def safe_url(url: str | Path | URL) -> str:
    """Return a store's URL or path for display, without passwords, including those in the query."""
    if isinstance(url, Path) or (isinstance(url, str) and "://" not in url):
        return str(url)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return _CREDENTIALS.sub("//***@", str(url)).partition("?")[0]
    query = {name: _HIDDEN if "pass" in name.lower() else value for name, value in parsed.query.items()}
    return parsed.set(query=query).render_as_string(hide_password=True)


def store_of(session: Session) -> str:
    """Return the store of a session for display, without passwords."""
    return safe_url(session.get_bind().engine.url)
