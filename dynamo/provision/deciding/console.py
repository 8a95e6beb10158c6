"""What the console of a worker that did not join says: pure functions on its text."""

from __future__ import annotations

import re

_LINES = 20
_WIDTH = 200
#: As `say` in the first-boot script writes it, after whatever the machine puts in front.
_SAID = re.compile(r"dynamo-worker \S+: (?P<word>.*)")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def tail(text: str) -> str:
    """Return the last lines that say anything, without control characters."""
    lines = [_plain(line) for line in text[-_LINES * _WIDTH * 4 :].splitlines()]
    return "\n".join([line for line in lines if line][-_LINES:])


def last_word(text: str) -> str:
    """Return what the first-boot script said last; if it said nothing, the last line of all."""
    lines = [_plain(line) for line in text.splitlines()]
    said = [found["word"] for line in lines if (found := _SAID.search(line)) is not None]
    return said[-1] if said else next((line for line in reversed(lines) if line), "")


def _plain(line: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in _ESCAPES.sub("", line))
    return shown.strip()[:_WIDTH]
