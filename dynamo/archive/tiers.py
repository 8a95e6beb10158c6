"""The interface of a tier: where publications go that are too old to stay with the fresh ones.

A kind is one module with its options and a class, plus one line in `dynamo.doors` or an entry point in the group
``dynamo.tiers``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dynamo.config.file import Config
from dynamo.config.retention import TierSection
from dynamo.errors import RetryableError


class TierFullError(RetryableError):
    """The tier has no room now; what waits for it stays where it is."""


class Tier(Protocol):
    """A place for whole publications, each under a name such as ``nowcast/20260520/180000-0123456789ab``.

    A location is where a publication can be read as a folder; a tier that is no file system needs one mounted.
    """

    def location(self, name: str) -> str:
        """Return the location that a publication of this name has or will have."""
        ...

    def put(self, source: Path, name: str) -> str:
        """Copy a publication, whole or not at all, check the copy against its index, and return its location.

        Repeating it after a kill completes it.

        Raises
        ------
        InputError
            If the source is not what its index says.
        TierFullError
            If there is no room now.
        OSError
            If it cannot be written or read.
        """
        ...

    def remove(self, location: str) -> None:
        """Remove a publication; nothing happens if it is gone."""
        ...


@dataclass(frozen=True)
class TierKind:
    """A kind of tier.

    Attributes
    ----------
    options
        Model of its options, derived from `TierSection`.
    make
        Makes the tier from its options and the whole configuration.
    """

    options: type[TierSection]
    make: Callable[[Any, Config], Tier]


def make_tier(config: Config) -> Tier | None:
    """Return the configured warm tier; None without one."""
    from dynamo.doors import TIERS

    section = config.retention.warm
    if section is None:
        return None
    kind: TierKind = TIERS.load(section.kind)
    return kind.make(section, config)
