"""Take secrets out of texts that are shown, stored, or sent on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

_MASK = "***"
#: Tokens of OpenStack (Fernet), of HTCondor and others (JWT), and access keys of S3, known by their form.
_TOKEN = re.compile(r"gAAAA[\w-]{16,}=*|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
#: User part of a URL.
_USER_INFO = re.compile(r"(?<=://)[^/@\s\"'<>]+@")
#: What is called a secret where it is: ``password=...``, ``"api_key": "..."``, ``Authorization: Bearer ...``.
_CALLED_SO = re.compile(
    r"((?:passw(?:or)?d|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key)[\w-]*[\"']?\s*[=:]\s*[\"']?"
    r"|\b(?:bearer|basic)\s+)(?!\*\*\*)[^\s\"',;&]{4,}",
    re.IGNORECASE,
)
_NAMED_SO = re.compile(r"PASS(?:WORD|WD|PHRASE)|SECRET|TOKEN|(?:API|ACCESS|PRIVATE)_?KEY|CREDENTIAL", re.IGNORECASE)
#: Shorter values are no secrets, and stand in other texts by chance.
_SHORTEST = 6


def scrub(text: str, secrets: Collection[str] = ()) -> str:
    """Return ``text`` without ``secrets`` (plain, or as escaped in JSON and URLs), users in URLs, and tokens."""
    forms = {form for one in secrets if one for form in (one, json.dumps(one)[1:-1], quote(one, safe=""))}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, _MASK)
    return _TOKEN.sub(_MASK, _USER_INFO.sub(f"{_MASK}@", text))


def scrub_output(text: str, secrets: Collection[str] = ()) -> str:
    """Return what a program wrote as `scrub` does, and also without what the text itself calls a secret.

    Examples
    --------
    >>> scrub_output("login with password=hunter22, token: abcdef")
    'login with password=***, token: ***'
    """
    return _CALLED_SO.sub(rf"\1{_MASK}", scrub(text, secrets))


def secrets_in(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Return the values of the environment variables whose names say that they are secrets."""
    named = (value for name, value in environment.items() if _NAMED_SO.search(name))
    return frozenset(value for value in named if len(value) >= _SHORTEST and not value.startswith("/"))
