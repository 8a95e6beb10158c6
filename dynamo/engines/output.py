"""The output of jobs on its way to a log: as it comes, without escape sequences and secrets, and not without end."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import re
import select
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from dynamo.files import private_file
from dynamo.scrubbing import scrub_output, secrets_in
from dynamo.texts import visible

#: Bytes kept of the beginning and of the end of one job's output.
HEAD_BYTES = TAIL_BYTES = 512 * 1024
#: Escape sequences of terminals: colors and cursor movements, titles and links, single characters.
_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]"
)
_LONGEST_LINE = 64 * 1024
#: A line that is not finished is written after this silence, in seconds: its writer may be killed.
_SILENCE_S = 1.0
_CHUNK = 64 * 1024
_SETTLE_S = 2.0
_STANDARD_ERROR = 2


def clean(text: str, secrets: Collection[str] = ()) -> str:
    r"""Return what a program wrote, fit to be stored and shown.

    Escape sequences are left out, a carriage return ends a line, other control characters and secrets are replaced.

    Examples
    --------
    >>> clean("\x1b[31mred\x1b[0m 10 %\r20 %\n")
    'red 10 %\n20 %\n'
    """
    text = _ESCAPES.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")
    return visible(scrub_output(text, secrets))


class JobLog:
    """Writes the output of one job: the beginning at once, the end when it is closed, and how much is left out between.

    Parameters
    ----------
    write
        Takes what is to be stored.
    head_bytes, tail_bytes
        How much is kept of the beginning and of the end.
    """

    def __init__(
        self, write: Callable[[bytes], object], *, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES
    ) -> None:
        self._write = write
        self._secrets = secrets_in()
        self._room = head_bytes
        self._tail_bytes = tail_bytes
        self._tail: deque[bytes] = deque()
        self._held = 0
        self._left_out = 0
        self._open = bytearray()

    def feed(self, data: bytes) -> None:
        """Take output as it comes."""
        self._open += data
        end = max(self._open.rfind(b"\n"), self._open.rfind(b"\r")) + 1
        if not end and len(self._open) > _LONGEST_LINE:
            end = len(self._open)
        if end:
            self._take(end)

    def flush(self) -> None:
        """Write a line that is not finished."""
        if self._open:
            self._take(len(self._open))

    def close(self) -> None:
        """Write what is held of the end."""
        self.flush()
        if self._left_out:
            self._write(f"\n[... {self._left_out} bytes left out ...]\n".encode())
        for piece in self._tail:
            self._write(piece)
        self._tail.clear()

    def _take(self, end: int) -> None:
        text = clean(bytes(self._open[:end]).decode(errors="replace"), self._secrets)
        del self._open[:end]
        data = text.encode()
        if len(data) <= self._room and not self._tail:
            self._room -= len(data)
            self._write(data)
            return
        self._room = 0
        for line in data.splitlines(keepends=True):
            self._tail.append(line)
            self._held += len(line)
        while self._held > self._tail_bytes:
            gone = len(self._tail.popleft())
            self._held -= gone
            self._left_out += gone


class Pump:
    """Takes what processes write to pipes to where it belongs at the moment, in threads of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._log: JobLog | None = None
        self._streams: set[int] = set()

    def take_from(self, stream: BinaryIO) -> None:
        """Read a pipe until everybody has closed it."""
        self._streams.add(stream.fileno())
        threading.Thread(target=self._read, args=(stream,), name="job output", daemon=True).start()

    def send_to(self, log: JobLog | None) -> None:
        """Give what comes from now on to a log (None: our standard error); what is under way goes to the one before."""
        deadline = time.monotonic() + _SETTLE_S
        while time.monotonic() < deadline:
            with self._lock:
                if not any(_unread(stream) for stream in self._streams):
                    self._change(log)
                    return
            time.sleep(0.001)
        with self._lock:
            self._change(log)

    def _change(self, log: JobLog | None) -> None:
        if self._log is not None:
            # A full disk must not fail the job that talked too much.
            with contextlib.suppress(OSError):
                self._log.close()
        self._log = log

    def _read(self, stream: BinaryIO) -> None:
        number, data = stream.fileno(), b"-"
        wait_s: float | None = None
        # Not `select.select`, which takes no descriptor above 1023.
        poll = select.poll()
        poll.register(number, select.POLLIN)
        while data:
            ready = poll.poll(wait_s and 1000.0 * wait_s)
            with self._lock:
                data = os.read(number, _CHUNK) if ready else data
                wait_s = _SILENCE_S if ready else None
                if not data:
                    self._streams.discard(number)
                elif self._log is None:
                    # Nobody's: of a process that starts or ends.
                    with contextlib.suppress(OSError):
                        os.write(_STANDARD_ERROR, data if ready else b"")
                else:
                    # A full disk must not stop the job that talks.
                    with contextlib.suppress(OSError):
                        self._log.feed(data) if ready else self._log.flush()
        stream.close()


def append_to(path: Path) -> Callable[[bytes], object]:
    """Return a function that appends to a file, which only its owner may read and which is made by the first call."""

    def write(data: bytes) -> None:
        private_file(path)
        with path.open("ab") as stream:
            stream.write(data)

    return write


def _unread(descriptor: int) -> bool:
    """Return whether a pipe has data that nobody has read yet."""
    number = array.array("i", [0])
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, number)
    except OSError:
        return False
    return number[0] > 0
