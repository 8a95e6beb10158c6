"""What is held back and why: reported once, not in every cycle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from dynamo.provision.notes import FleetNote

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


def _gist(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit())
