"""The interface of a tier: where publications go that are too old to stay with the fresh ones.

A kind is one module with its options and a class, plus one line in `dynamo.doors` or an entry point in the group
``dynamo.tiers``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dynamo.config.file import Config
from dynamo.config.retention import TierSection
from dynamo.errors import MissingPartError, RetryableError
from dynamo.places.base import PlaceAwayError, PlaceFullError, PlaceRefusedError


class TierFullError(RetryableError):
    """The tier has no room now; what waits for it stays where it is."""


class TierAwayError(TierFullError):
    """The tier does not respond, or refuses us: nothing can be removed from it, either."""


class Tier(Protocol):
    """A place for whole publications, each under a name such as ``nowcast/20260520/180000-0123456789ab``.

    A location is a folder or ``s3://BUCKET/PREFIX``, which `dynamo.places` reads; a tier that is neither needs a file
    system mounted.
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
            If there is no room now, or the tier is away.
        OSError
            If it cannot be written or read.
        """
        ...

    def remove(self, location: str) -> None:
        """Remove a publication; nothing happens if it is gone.

        Raises
        ------
        InputError
            If it is in no place of this tier.
        TierAwayError
            If it cannot be told whether it is gone.
        """
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
    problem
        Says why nothing can be put there now; empty if it can.
    """

    options: type[TierSection]
    make: Callable[[Any, Config], Tier]
    problem: Callable[[Any, Config], str] = lambda _options, _config: ""


@contextlib.contextmanager
def waited_out() -> Iterator[None]:
    """Turn what is wrong with a bucket as a whole, and with no single publication, into `TierAwayError`."""
    try:
        yield
    except PlaceFullError as error:
        raise TierFullError(error.what, where=error.where, hint=error.hint) from error
    except (PlaceAwayError, PlaceRefusedError, MissingPartError) as error:
        raise TierAwayError(error.what, where=error.where, expected=error.expected, hint=error.hint) from error


def make_tier(config: Config) -> Tier | None:
    """Return the configured warm tier; None without one."""
    from dynamo.doors import TIERS

    section = config.retention.warm
    if section is None:
        return None
    kind: TierKind = TIERS.load(section.kind)
    return kind.make(section, config)


def tier_problem(config: Config) -> str:
    """Return why nothing can be put into the configured warm tier; empty if it can, or there is none."""
    from dynamo.doors import TIERS

    section = config.retention.warm
    if section is None:
        return ""
    kind: TierKind = TIERS.load(section.kind)
    return kind.problem(section, config)
