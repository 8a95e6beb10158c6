"""The channel interface, and the messages it sends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dynamo.config.alerts import ChannelSection


@dataclass(frozen=True)
class Note:
    """A message as passed to a channel.

    Attributes
    ----------
    key
        Stays the same when the message is sent again, so that receivers can drop duplicates.
    text
        One human-readable line.
    payload
        The message as data, including key and text.
    again
        Whether an earlier attempt may have arrived unnoticed.
    """

    key: str
    text: str
    payload: dict[str, Any]
    again: bool = False


class Channel(Protocol):
    """A destination for messages; called from one thread."""

    name: str

    @property
    def section(self) -> ChannelSection:
        """Its options."""
        ...

    def send(self, notes: Sequence[Note]) -> None:
        """Send the notes together, all or nothing.

        Raises
        ------
        DynamoError
            If delivery is not confirmed; the text names no secret.
        """


@dataclass(frozen=True)
class ChannelKind:
    """One kind of channel, as the configuration names it.

    Attributes
    ----------
    options
        The model of its table in the configuration.
    open
        Makes the channels of a table, given where relative paths begin. Several addresses are several channels, so that
        one is no other's fate.
    """

    options: type[ChannelSection]
    open: Callable[[Any, Path], Sequence[Channel]]
