"""The ways a message leaves: what a channel is, and making the configured ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dynamo.alerts.channels.base import Channel
from dynamo.config.alerts import ChannelSection
from dynamo.errors import InputError, NotFoundError


def make_channels(sections: Sequence[ChannelSection], base: Path) -> list[Channel]:
    """Return the channels of a configuration; each address is a channel of its own, so that one is no other's fate.

    Parameters
    ----------
    sections
        The configured channels.
    base
        Where relative paths begin.

    Raises
    ------
    InputError, NotFoundError, MissingPartError
        If an address is missing or unfit, or a library is.
    """
    return [channel for section in sections for channel in _KINDS[section.kind](section, base)]


def _file(section: ChannelSection, base: Path) -> list[Channel]:
    from dynamo.alerts.channels.file import FileChannel

    return [FileChannel(section.name, section, base / Path(section.path or "").expanduser())]


def _webhook(section: ChannelSection, base: Path) -> list[Channel]:
    from dynamo.alerts.channels.webhook import WebhookChannel

    addresses = _addresses(section, base)
    return [WebhookChannel(name, section, address) for name, address in _numbered(section, addresses)]


def _apprise(section: ChannelSection, base: Path) -> list[Channel]:
    from dynamo.alerts.channels.apprise import AppriseChannel

    addresses = _addresses(section, base)
    return [AppriseChannel(name, section, address) for name, address in _numbered(section, addresses)]


_KINDS: dict[str, Callable[[ChannelSection, Path], list[Channel]]] = {
    "file": _file,
    "webhook": _webhook,
    "apprise": _apprise,
}


def _numbered(section: ChannelSection, addresses: Sequence[str]) -> list[tuple[str, str]]:
    return [(section.name if not i else f"{section.name}#{i + 1}", address) for i, address in enumerate(addresses)]


def _addresses(section: ChannelSection, base: Path) -> list[str]:
    where = f"alerts.channels {section.name}"
    if section.url is not None:
        text = section.url.get_secret_value()
    elif section.url_env is not None:
        text = os.environ.get(section.url_env, "")
        if not text.strip():
            raise NotFoundError(f"the environment variable {section.url_env} is empty", where=where)
    else:
        path = base / Path(section.url_file or "").expanduser()
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "is not text"
            raise NotFoundError(f"url_file {path}: {reason}", where=where) from None
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError("there is no address", where=where, expected="one on each line")
    return found
