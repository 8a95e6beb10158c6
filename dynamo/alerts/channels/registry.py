"""Making the configured channels, of built-in kinds and those of installed packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynamo.alerts.channels.base import Channel
from dynamo.config.alerts import ChannelSection
from dynamo.doors import CHANNELS


def make_channels(sections: Sequence[ChannelSection], base: Path) -> list[Channel]:
    """Return the configured channels, one per address, so that one failing address does not hold up the others.

    Parameters
    ----------
    sections
        The configured channels.
    base
        Folder that relative paths are resolved against.

    Raises
    ------
    InputError, NotFoundError, MissingPartError
        If an address is missing or unfit, a library is, or a kind of another package cannot be used.
    """
    made: list[Channel] = []
    for section in sections:
        kind = CHANNELS.load(section.kind)
        with CHANNELS.blamed(section.kind):
            made += kind.open(section, base)
    return made
