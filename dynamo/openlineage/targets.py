"""Where OpenLineage events go: a file of JSON lines, or a server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import orjson

from dynamo.alerts.channels.base import Note
from dynamo.alerts.channels.file import FileChannel, FileOptions
from dynamo.alerts.channels.posting import Address
from dynamo.config.provenance import ProvenanceSection
from dynamo.errors import NotFoundError
from dynamo.files import expanded

_WHERE = "provenance.openlineage"
#: Where OpenLineage servers take events, if the address names no path.
_PATH = "/api/v1/lineage"


class Target(Protocol):
    """Takes events."""

    def send(self, event: Mapping[str, Any]) -> None:
        """Send one event; raise `DynamoError`, without a secret in it, if it is not certain that it arrived."""
        ...


def make_target(section: ProvenanceSection, base: Path) -> Target | None:
    """Return the configured target, None without one; relative paths begin at ``base``.

    Raises
    ------
    InputError
        If the address is invalid.
    """
    text = section.openlineage
    if text is None:
        return None
    kind, _, place = text.partition(":")
    return _Lines(base / expanded(place)) if kind == "file" else _Server(text, section, base)


class _Lines:
    """Appends each event as a line, and not again after a crash."""

    def __init__(self, path: Path) -> None:
        self._channel = FileChannel(FileOptions(name="openlineage", path=str(path)), Path())

    def send(self, event: Mapping[str, Any]) -> None:
        self._channel.send([Note("", "", dict(event), again=True)])


class _Server:
    """Posts each event, with a token if there is one."""

    def __init__(self, url: str, section: ProvenanceSection, base: Path) -> None:
        parts = urlsplit(url)
        whole = url if parts.path not in ("", "/") else urlunsplit(parts._replace(path=_PATH))
        self._address = Address(whole, where=_WHERE, timeout_s=section.timeout_s)
        self._section = section
        self._base = base

    def send(self, event: Mapping[str, Any]) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "dynamo"}
        # Read each time: tokens are renewed.
        if token := self._token():
            headers["Authorization"] = f"Bearer {token}"
        self._address.post(orjson.dumps(event), headers)

    def _token(self) -> str:
        section = self._section
        if section.token_env is not None:
            token = os.environ.get(section.token_env, "").strip()
            if not token:
                raise NotFoundError(f"the environment variable {section.token_env} is empty", where=_WHERE)
            return token
        if section.token_file is None:
            return ""
        path = self._base / expanded(section.token_file)
        try:
            return path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise NotFoundError(f"token_file: {reason}", where=path) from None
