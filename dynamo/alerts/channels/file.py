"""A channel that appends JSON lines to a file, written to the disk before it counts as sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from dynamo.alerts.channels.base import Note
from dynamo.config.alerts import ChannelSection
from dynamo.errors import RetryableError

#: How much of the file's end is searched for a message that may have been written before a crash.
_TAIL_BYTES = 1 << 20


class FileChannel:
    """JSON lines in a file; a message is in it once, because what may be there already is looked for.

    Parameters
    ----------
    name, section
        See `Channel`.
    path
        The file; its folder is made.
    """

    def __init__(self, name: str, section: ChannelSection, path: Path) -> None:
        self.name = name
        self.section = section
        self.path = path

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
            raise RetryableError(f"cannot be written: {error.strerror}", where=self.path) from error

    def _append(self, descriptor: int, notes: Sequence[Note]) -> None:
        size = os.fstat(descriptor).st_size
        tail = b""
        if size:
            # A line that a power cut has torn must not swallow the next one.
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
