"""What a channel is, and what it is given to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dynamo.config.alerts import ChannelSection


@dataclass(frozen=True)
class Note:
    """A message as a channel gets it.

    Attributes
    ----------
    key
        The same however often the message is sent: receivers drop what they have.
    text
        One line for people.
    payload
        The message as data; holds key and text too.
    again
        An earlier attempt may have arrived although nobody knows.
    """

    key: str
    text: str
    payload: dict[str, Any]
    again: bool = False


class Channel(Protocol):
    """Something that messages are sent to; called from one thread."""

    name: str
    section: ChannelSection

    def send(self, notes: Sequence[Note]) -> None:
        """Send the notes together, all or none.

        Raises
        ------
        DynamoError
            If it is not known that they arrived; its text names no secret.
        """
