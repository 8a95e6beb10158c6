"""What is held back and why: reported once, not in every cycle."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from dynamo.provision.notes import FleetNote

K = TypeVar("K", bound=Hashable)
#: OpenStack's number of a request, in its errors.
_REQUEST_ID = re.compile(r",? ?\breq-[0-9a-f-]{36}\b")
#: Lasting holds are repeated after this; see `ledger.LOOK_BACK`.
AGAIN = timedelta(minutes=50)


class Holds:
    """Remembers the last reason for each subject and creates an event when it changes.

    Parameters
    ----------
    known
        The last reason another process reported for each subject.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._said: dict[str, str] = dict(known or {})
        self._at: dict[str, datetime] = {}

    def say(self, held: Mapping[str, str], sites: Mapping[str, str], now: datetime) -> list[FleetNote]:
        """Return events for new holds; a reason that differs only in its numbers is not new.

        Parameters
        ----------
        held
            The reason for each subject.
        sites
            The site of a subject, if any.
        now
            The current time; lasting holds are repeated from time to time.
        """
        notes = []
        for key, text in held.items():
            new = _gist(text) != _gist(self._said.get(key, ""))
            if new or now - self._at.setdefault(key, now) >= AGAIN:
                notes.append(FleetNote("hold", text, sites.get(key, ""), data={"about": key}))
                self._at[key] = now
        for key in self._said:
            if key not in held:
                reason = "no longer held"
                notes.append(FleetNote("released-hold", reason, sites.get(key, ""), data={"about": key}))
                self._at.pop(key, None)
        self._said = dict(held)
        return notes


def tell_once(held: Mapping[K, str], errors: Collection[str], told: Iterable[str] = ()) -> dict[K, str]:
    """Return ``held`` with each error of a site only in the first reason that quotes it.

    Parameters
    ----------
    errors
        The sites' errors; those that differ only in the request's id are the same.
    told
        Errors that are shown elsewhere, and in no reason.
    """
    seen = {_without_ids(error) for error in told}
    result = {}
    for key, reason in held.items():
        text = reason
        for error in sorted({_without_ids(error) for error in errors if error}, key=len, reverse=True):
            if error not in _without_ids(text):
                continue
            if error in seen:
                plain = _without_ids(text)
                text = plain.replace(f": {error}", "").replace(f" ({error})", "")
            seen.add(error)
        result[key] = text
    return result


def _without_ids(text: str) -> str:
    return _REQUEST_ID.sub("", text)


def _gist(text: str) -> str:
    return "".join(letter for letter in _without_ids(text) if not letter.isdigit())
