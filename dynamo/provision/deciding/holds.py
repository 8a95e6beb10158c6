"""What is not done now and why: told once, not in every cycle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from dynamo.provision.notes import FleetNote

#: What lasts is said again after this; see `ledger.LOOK_BACK`.
AGAIN = timedelta(minutes=50)


class Holds:
    """Remembers what was said of each subject, and makes an event when it becomes something else.

    Parameters
    ----------
    known
        What another process said last of each subject.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._said: dict[str, str] = dict(known or {})
        self._at: dict[str, datetime] = {}

    def say(self, held: Mapping[str, str], sites: Mapping[str, str], now: datetime) -> list[FleetNote]:
        """Return the events for what stands in the way now; numbers in a sentence may change without its being new.

        Parameters
        ----------
        held
            The sentence for each subject.
        sites
            The site of a subject, where it has one.
        now
            What lasts is said again from time to time.
        """
        notes = []
        for key, text in held.items():
            new = _gist(text) != _gist(self._said.get(key, ""))
            if new or now - self._at.setdefault(key, now) >= AGAIN:
                notes.append(FleetNote("hold", text, sites.get(key, ""), data={"about": key}))
                self._at[key] = now
        for key in self._said:
            if key not in held:
                reason = "it no longer stands in the way"
                notes.append(FleetNote("released-hold", reason, sites.get(key, ""), data={"about": key}))
                self._at.pop(key, None)
        self._said = dict(held)
        return notes


def _gist(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit())
