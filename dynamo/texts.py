"""Texts from outside that people see: no control character reaches a terminal, a log line, or a message.

File names, names of places and radars, and whatever a broken file holds may contain escape sequences that rewrite a
terminal, line breaks that forge log lines, and marks that turn the reading direction. Each becomes ``U+FFFD``.
"""

from __future__ import annotations

import re
from typing import Any

#: C0 and C1 controls except line breaks and tabs, half characters of undecodable names, and marks that reorder text.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_SHOWN = "\ufffd"


def visible(text: str) -> str:
    """Return text with newlines and tabs kept, and every other control character replaced.

    Examples
    --------
    >>> visible("a\x1b[2Jb") == "a\ufffd[2Jb"
    True
    """
    return _UNSEEN.sub(_SHOWN, text)


def visible_in(data: Any) -> Any:
    """Return plain data with every text in it made visible, those of nested lists and mappings too."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, dict):
        return {key: visible_in(value) for key, value in data.items()}
    return [visible_in(value) for value in data] if isinstance(data, list | tuple) else data


def escaped(json_text: str) -> str:
    """Return JSON with the control characters that JSON allows in texts escaped: the same data, safe on a terminal."""
    return _UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04x}", json_text)


def one_line(text: str) -> str:
    """Return text on one line: runs of white space become one space, control characters are replaced."""
    return visible(" ".join(text.split()))


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "feed"), counted(0, "feed"), counted(2, "match", "matches")
    ('1 feed', '0 feeds', '2 matches')
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
