"""Addresses of channels: they may hold secrets, so they come from a file or the environment and are never printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from dynamo.config.alerts import ChannelSection
from dynamo.errors import InputError, NotFoundError
from dynamo.files import expanded


class AddressOptions(ChannelSection):
    """Options of a channel that has one address or several."""

    url_env: str | None = Field(None, description="Environment variable that holds the address or addresses.")
    url_file: str | None = Field(None, description="File that holds them, one on each line; `#` begins a comment.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [name for name in ("url", "url_env", "url_file") if name in type(self).model_fields]
        if sum(getattr(self, name) is not None for name in names) != 1:
            raise ValueError(f"a channel of kind {self.kind} needs one of {', '.join(names)}")
        return self

    def addresses(self, base: Path) -> list[tuple[str, str]]:
        """Return each address with the name of its channel; relative paths begin at ``base``.

        Raises
        ------
        InputError, NotFoundError
            If there is none; no message shows one.
        """
        found = [line.strip() for line in self._text(base).splitlines()]
        found = [line for line in found if line and not line.startswith("#")]
        if not found:
            raise InputError("there is no address", where=self._where, expected="one on each line")
        return [(self.name if not i else f"{self.name}#{i + 1}", address) for i, address in enumerate(found)]

    @property
    def _where(self) -> str:
        return f"alerts.channels {self.name}"

    def _text(self, base: Path) -> str:
        if self.url_env is not None:
            text = os.environ.get(self.url_env, "")
            if not text.strip():
                raise NotFoundError(f"the environment variable {self.url_env} is empty", where=self._where)
            return text
        path = base / expanded(self.url_file or "")
        try:
            return path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not text"
            raise NotFoundError(f"url_file {path}: {reason}", where=self._where) from None
