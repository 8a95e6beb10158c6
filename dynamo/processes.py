"""A warm helper process that answers one question at a time and is replaced when it dies or takes too long."""

from __future__ import annotations

import atexit
import contextlib
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from dynamo.errors import DynamoError

#: The kernel counts a wait in milliseconds in 31 bits; nobody waits 23 days for one answer.
LONGEST_WAIT_S = 2_000_000.0
#: How long a killed process may take to be gone, seconds.
_GRACE_S = 2.0
# Not multiprocessing's own start: that imports the main program again, which a script need not stand.
_START = "import sys; sys.path[:] = sys.argv[4:]; import dynamo.processes as p; p.begin(*sys.argv[1:4])"


class HelperEndedError(DynamoError):
    """The process ended instead of answering; ``exit_status`` is its exit code, or minus the signal."""

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(f"its process ended (exit code {exit_status})")
        self.exit_status = exit_status


class HelperLateError(DynamoError):
    """No answer came in time; the process was killed."""


class HelperProcess:
    """A process that runs ``serve(pipe)``: receive a question, send the answer, until the pipe closes.

    It ends by itself when this process is gone, because its pipe closes; one that hangs then does not.

    Parameters
    ----------
    serve
        A function of a module, which the new process imports.
    """

    def __init__(self, serve: Callable[[Connection], None]) -> None:
        self._serve = (serve.__module__, serve.__qualname__)
        self.stopped = False
        self._start()
        _helpers.add(self)

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            self._pipe = Connection(ours.detach())
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *self._serve, str(number), *sys.path],
                stdin=subprocess.DEVNULL,
                pass_fds=(number,),
            )

    @property
    def pid(self) -> int:
        """The process id; another one after each failure."""
        return self._process.pid

    def ask(self, question: Any, max_seconds: float) -> Any:
        """Return the answer; for one thread at a time.

        Raises
        ------
        HelperEndedError
            If the process ended; there is a new one now.
        HelperLateError
            If there was no answer in time; there is a new process now.
        """
        answered = False
        try:
            self._pipe.send(question)
            if not self._pipe.poll(min(max_seconds, LONGEST_WAIT_S)):
                raise HelperLateError(f"still at it after {max_seconds:g} s, stopped")
            answer = self._pipe.recv()
            answered = True
            return answer
        except (EOFError, OSError):
            # The pipe closes a moment before the process is gone.
            self._wait()
            raise HelperEndedError(self._process.returncode) from None
        finally:
            if not answered:
                # Whatever went wrong, a late answer must not be taken for that to the next question.
                self._replace()

    def _replace(self) -> None:
        self._end()
        if not self.stopped:
            self._start()

    def stop(self) -> None:
        """End the process, whatever it is doing; it is not replaced any more."""
        self.stopped = True
        self._end()

    def _end(self) -> None:
        with contextlib.suppress(OSError):
            self._pipe.close()
        self._process.kill()
        self._wait()

    def _wait(self) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)


#: One that hangs does not see that its pipe closes.
_helpers: weakref.WeakSet[HelperProcess] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for helper in list(_helpers):
        helper.stop()


def begin(module: str, name: str, descriptor: str) -> None:
    """Serve, in the new process."""
    serve: Callable[[Connection], None] = getattr(import_module(module), name)
    with Connection(int(descriptor)) as pipe:
        serve(pipe)
