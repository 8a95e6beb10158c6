"""The operators' channels: who is told about problems, apart from the places that are alerted to weather."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynamo.alerts.channels.base import Channel
from dynamo.alerts.channels.registry import make_channels
from dynamo.alerts.courier import Courier
from dynamo.config.alerts import AlertsSection
from dynamo.store.engine import Store


class Operators:
    """Sends stored messages about problems; only the one daemon of a store does.

    Parameters
    ----------
    store
        The store that holds the messages.
    settings
        The section ``[alerts]``.
    base
        Where relative paths begin.

    Raises
    ------
    InputError, NotFoundError, MissingPartError
        If a channel is invalid.
    """

    def __init__(self, store: Store, settings: AlertsSection, base: Path) -> None:
        self.channels: Sequence[Channel] = make_channels(settings.channels_for("operators"), base)
        self._couriers = [Courier(store, channel) for channel in self.channels]

    @property
    def names(self) -> list[str]:
        """The names of the channels."""
        return [channel.name for channel in self.channels]

    def start(self) -> None:
        """Start to send, also what an earlier process left."""
        for courier in self._couriers:
            courier.start()

    def wake(self) -> None:
        """Signal that there are new messages."""
        for courier in self._couriers:
            courier.wake()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Stop; what is not sent yet is sent after the next start."""
        for courier in self._couriers:
            courier.stop(timeout_s)
