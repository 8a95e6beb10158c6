"""A channel through Apprise: email, SMS, chat and more, by a URL that holds its secrets."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from dynamo.alerts.channels.addresses import AddressOptions
from dynamo.alerts.channels.base import ChannelKind, Note
from dynamo.errors import InputError, RetryableError
from dynamo.extras import need

_TITLE = "DyNamo"


class AppriseOptions(AddressOptions):
    """Anything that Apprise speaks (mail, SMS, chat), with the extra `alerts`; its addresses hold secrets."""

    TOGETHER = 10

    kind: Literal["apprise"] = "apprise"


class AppriseChannel:
    """One Apprise URL; several messages go out as the lines of one notification.

    Apprise reports only success or failure, and its log may show URLs, so that log is silenced.

    Parameters
    ----------
    name, section
        See `Channel`.
    address
        An Apprise URL; never shown.

    Raises
    ------
    MissingPartError
        If Apprise is not installed.
    InputError
        If Apprise does not recognize the URL.
    """

    def __init__(self, name: str, section: AppriseOptions, address: str) -> None:
        self.name = name
        self.section = section
        self._apprise: Any = need("apprise", extra="alerts")
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        self._sender = self._apprise.Apprise()
        added = False
        try:
            added = bool(self._sender.add(address))
        except (TypeError, ValueError):
            added = False
        if not added:
            raise InputError("Apprise does not recognize its URL", where=f"channel {name}", expected="an Apprise URL")
        for server in self._sender:
            server.socket_connect_timeout = section.timeout_s
            server.socket_read_timeout = section.timeout_s

    def send(self, notes: Sequence[Note]) -> None:
        """Send the notes as one notification; see `Channel.send`."""
        kinds = {note.payload.get("kind") for note in notes}
        kind = self._apprise.NotifyType.WARNING if kinds - {"over"} else self._apprise.NotifyType.SUCCESS
        body = "\n".join(note.text for note in notes)
        text = self._apprise.NotifyFormat.TEXT
        if not self._sender.notify(body=body, title=_TITLE, notify_type=kind, body_format=text):
            raise RetryableError("the service did not accept the message", where=f"channel {self.name}")


def _open(section: AppriseOptions, base: Path) -> list[AppriseChannel]:
    return [AppriseChannel(name, section, address) for name, address in section.addresses(base)]


KIND = ChannelKind(AppriseOptions, _open)
