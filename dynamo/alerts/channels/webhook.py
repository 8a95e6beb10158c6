"""A channel that sends messages by one HTTP POST."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import orjson
from pydantic import Field, SecretStr

from dynamo.alerts.channels.addresses import AddressOptions
from dynamo.alerts.channels.base import ChannelKind, Note
from dynamo.alerts.channels.posting import Address


class WebhookOptions(AddressOptions):
    """One HTTP POST."""

    TOGETHER = 100

    kind: Literal["webhook"] = "webhook"
    url: SecretStr | None = Field(None, description="http or https address, where it holds no secret.")

    def _text(self, base: Path) -> str:
        return super()._text(base) if self.url is None else self.url.get_secret_value()


class WebhookChannel:
    """HTTP POST of ``{"messages": [...]}`` with the header ``Idempotency-Key``; any 2xx answer means received.

    A message sent alone has its own key in the header; each message also carries its key in the body.

    Parameters
    ----------
    name, section
        See `Channel`.
    address
        http or https URL; may hold a secret, and is never shown.

    Raises
    ------
    InputError
        If the URL is invalid.
    """

    def __init__(self, name: str, section: WebhookOptions, address: str) -> None:
        self.name = name
        self.section = section
        self._address = Address(address, where=f"channel {name}", timeout_s=section.timeout_s)

    def send(self, notes: Sequence[Note]) -> None:
        """Post the notes; see `Channel.send`."""
        body = orjson.dumps({"messages": [note.payload for note in notes]})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": _common_key(notes),
            "User-Agent": "dynamo-alerts",
        }
        self._address.post(body, headers)


def _common_key(notes: Sequence[Note]) -> str:
    if len(notes) == 1:
        return notes[0].key
    return hashlib.sha256("".join(note.key for note in notes).encode()).hexdigest()[:32]


def _open(section: WebhookOptions, base: Path) -> list[WebhookChannel]:
    return [WebhookChannel(name, section, address) for name, address in section.addresses(base)]


KIND = ChannelKind(WebhookOptions, _open)
