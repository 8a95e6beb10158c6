"""A process that takes over a run when the one that works on it is gone, however it went.

``python -m dynamo.runs.execution.guard COMMAND...`` waits on its standard input, a pipe that only the other process
holds open. If the pipe closes without a word, it runs Python with the command in its place. It imports nothing, so that
guarding every run costs little.
"""

from __future__ import annotations

import os
import sys

#: What releases the guard.
DONE = b"done"


def main() -> None:
    """Entry point of the guard's process."""
    if sys.stdin.buffer.read() != DONE:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])  # noqa: S606 - our own command


if __name__ == "__main__":
    main()
