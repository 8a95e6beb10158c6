"""The kinds of channels, and the channels of a configuration."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from dynamo.alerts.channels.base import Channel
from dynamo.config.alerts import ChannelSection
from dynamo.errors import InputError, NotFoundError


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
        If an address is missing or invalid, or a library is missing.
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
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise NotFoundError(f"url_file {path}: {reason}", where=where) from None
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise InputError("no address given", where=where, expected="one per line")
    return found
