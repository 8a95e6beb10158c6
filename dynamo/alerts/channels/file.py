"""A channel that appends JSON lines to a file; a message counts as sent once it is on disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import orjson
from pydantic import Field

from dynamo.alerts.channels.base import ChannelKind, Note
from dynamo.config.alerts import ChannelSection
from dynamo.errors import RetryableError
from dynamo.files import expanded

#: Size of the file's tail that is searched for messages written just before a crash.
_TAIL_BYTES = 1 << 20


class FileOptions(ChannelSection):
    """JSON lines in a file."""

    TOGETHER = 1000

    kind: Literal["file"] = "file"
    path: str = Field(description="The file that messages are appended to; its folder is made.")


class FileChannel:
    """JSON lines in a file, each message once: on a retry the tail is searched for it first.

    Parameters
    ----------
    section
        Its options.
    base
        Where a relative path begins.
    """

    def __init__(self, section: FileOptions, base: Path) -> None:
        self.name = section.name
        self.section = section
        self.path = base / expanded(section.path)

    def send(self, notes: Sequence[Note]) -> None:
        """Append the notes; see `Channel.send`."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                self._append(descriptor, notes)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise RetryableError(f"cannot write: {error.strerror}", where=self.path) from error

    def _append(self, descriptor: int, notes: Sequence[Note]) -> None:
        size = os.fstat(descriptor).st_size
        tail = b""
        if size:
            # A line torn by a power cut must not swallow the next one.
            wanted = _TAIL_BYTES if any(note.again for note in notes) else 1
            tail = os.pread(descriptor, wanted, max(0, size - wanted))
        data = b"" if not size or tail.endswith(b"\n") else b"\n"
        for note in notes:
            line = orjson.dumps(note.payload, option=orjson.OPT_APPEND_NEWLINE)
            if not (note.again and line in tail):
                data += line
        if not data:
            return
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)


KIND = ChannelKind(FileOptions, lambda section, base: [FileChannel(section, base)])
