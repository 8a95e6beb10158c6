"""A warm helper process that answers one request at a time and is replaced if it dies or times out."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, cast

from dynamo.errors import DynamoError

#: The kernel takes timeouts in milliseconds as 31 bits; nobody waits 23 days for one answer.
LONGEST_WAIT_S = 2_000_000.0
#: Time for a killed process to exit, in seconds.
_GRACE_S = 2.0
#: Of Linux, in <linux/prctl.h>.
_PR_SET_PDEATHSIG = 1
# Not multiprocessing's own start method, which imports the main program again: scripts may not tolerate that.
_START = "import sys; sys.path[:] = sys.argv[4:]; import dynamo.processes as p; p.begin(*sys.argv[1:4])"


def yield_to_others() -> None:
    """Let this process have the processor only when no other one wants it; there is no way back."""
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (AttributeError, OSError):
        # Not on Linux, or forbidden in a container.
        os.nice(19)


def end_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, even while it stands still."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class HelperEndedError(DynamoError):
    """The process exited without answering; ``exit_status`` is its exit code, or minus the signal."""

    def __init__(self, exit_status: int | None) -> None:
        super().__init__(f"its process exited (exit code {exit_status})")
        self.exit_status = exit_status


class HelperLateError(DynamoError):
    """The process timed out and was killed."""


class HelperProcess:
    """A process that runs ``serve(pipe)``: receive a request, send the answer, until the pipe closes.

    It exits on its own once this process is gone, because its pipe closes; unless it hangs.

    Parameters
    ----------
    serve
        A module-level function, which the new process imports.
    on_output
        Takes the reading end of a pipe that has what each new process writes; without it that goes where ours goes.
    """

    def __init__(
        self, serve: Callable[[Connection], None], on_output: Callable[[BinaryIO], None] | None = None
    ) -> None:
        self._on_output = on_output
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
                stdout=None if self._on_output is None else subprocess.PIPE,
                stderr=None if self._on_output is None else subprocess.STDOUT,
                # Ctrl-C is for the process in the terminal, which decides when its helpers stop.
                process_group=0,
            )
        if self._on_output is not None and self._process.stdout is not None:
            self._on_output(cast("BinaryIO", self._process.stdout))

    @property
    def pid(self) -> int:
        """The process id; changes after each failure."""
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it is there."""
        with contextlib.suppress(OSError):
            self._process.send_signal(number)

    def ask(self, question: Any, max_seconds: float) -> Any:
        """Return the answer; call from one thread at a time.

        Raises
        ------
        HelperEndedError
            If the process exited; a new one has been started.
        HelperLateError
            If the process timed out; a new one has been started.
        """
        answered = False
        try:
            self._pipe.send(question)
            if not self._pipe.poll(min(max_seconds, LONGEST_WAIT_S)):
                raise HelperLateError(f"timed out after {max_seconds:g} s, killed")
            answer = self._pipe.recv()
            answered = True
            return answer
        except (EOFError, OSError):
            # The pipe closes shortly before the process exits.
            self._wait()
            raise HelperEndedError(self._process.returncode) from None
        finally:
            if not answered:
                # Whatever went wrong, a late answer must not be mistaken for the answer to the next request.
                self._replace()

    def _replace(self) -> None:
        self._end()
        if not self.stopped:
            self._start()

    def stop(self) -> None:
        """Kill the process, whatever it is doing, and do not replace it."""
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


#: A hung process does not notice its pipe closing.
_helpers: weakref.WeakSet[HelperProcess] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    for helper in list(_helpers):
        helper.stop()


def begin(module: str, name: str, descriptor: str) -> None:
    """Run ``serve`` in the new process."""
    serve: Callable[[Connection], None] = getattr(import_module(module), name)
    with Connection(int(descriptor)) as pipe:
        serve(pipe)
