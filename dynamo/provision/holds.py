"""What is not done now and why: told once, not in every cycle."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo.provision.ledger import Note


class Holds:
    """Remembers what was said of each subject, and makes an event when it becomes something else."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def say(self, held: Mapping[str, str], sites: Mapping[str, str]) -> list[Note]:
        """Return the events for what stands in the way now; numbers in a sentence may change without its being new.

        Parameters
        ----------
        held
            The sentence for each subject.
        sites
            The site of a subject, where it has one.
        """
        notes = [
            Note("hold", text, sites.get(key, ""), data={"about": key})
            for key, text in held.items()
            if _gist(text) != _gist(self._said.get(key, ""))
        ]
        notes += [
            Note("released-hold", "it no longer stands in the way", sites.get(key, ""), data={"about": key})
            for key in self._said
            if key not in held
        ]
        self._said = dict(held)
        return notes


def _gist(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit())
