"""Inspect input files from many threads, in separate warm processes.

A damaged file can crash the NetCDF library or hang it, and the library is not thread-safe. So a process inspects one
input at a time, and is replaced if a file brings it down. There is one process, and more only while slow files keep all
of them busy.
"""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dynamo.errors import InputError, RetryableError
from dynamo.inspection.facts import InputFacts
from dynamo.inspection.serving import OVERDRAWN, Question, serve
from dynamo.processes import HelperEndedError, HelperLateError, HelperProcess

if TYPE_CHECKING:
    from dynamo.inspection.picture import Picture

#: Formats with known cost; files in other formats are accepted unread.
RADAR = frozenset({"radar-sweep", "radar-volume"})
INSPECTED = frozenset({"casa-nowcast", "hail-grid"}) | RADAR

#: Limit of processor time for a small file; a large one gets more.
LIMIT_S = 30.0
_SLOWEST_BYTES_PER_S = 5e6
#: A busy machine or a slow disk makes it wait: this many times the limit, and then it is not the file's fault.
WAIT_TIMES = 10.0
#: Time limit for the process to start on a busy machine.
_START_LIMIT_S = 120.0
#: A file is slow if it takes longer than this. While all processes have one, another is started, up to so many.
_SLOW_S = 2.0
_MOST = 4
_LOOK_S = 0.2
#: What a damaged file does to the library; other signals come from outside (SIGKILL: somebody, or lack of memory).
_CRASHES = frozenset({"SIGSEGV", "SIGBUS", "SIGABRT", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"})

_log = logging.getLogger("dynamo.feeds")


def inspect(path: Path, levels: Sequence[float]) -> InputFacts:
    """Return the facts of a file that determine the work it causes.

    Raises
    ------
    InputError
        If it is not a complete input file, or the process reading it crashes or uses up its processor time.
    RetryableError
        If the process cannot be started, is killed, or gets no processor time or data.
    """
    return _inspectors.look(None, [path], levels)


def inspect_port(format_: str, paths: Sequence[Path], levels: Sequence[float]) -> InputFacts | None:
    """Return the facts of one input's files; None for formats without a known cost.

    Parameters
    ----------
    format_
        The format of the input, or several separated by ``|``.
    paths
        Its files: one, the files of one radar volume, or several independent ones.
    levels
        See `inspect`.

    Raises
    ------
    InputError
        If a file is incomplete or the files do not belong together; also as `inspect`.
    RetryableError
        As `inspect`.
    """
    formats = set(format_.split("|"))
    if not INSPECTED & formats:
        return None
    # If a radar file is expected, report the error about radar files.
    return _inspectors.look("radar" if formats <= RADAR else "any", paths, levels)


def draw(path: Path) -> Picture:
    """Return a picture of what can be read of a file.

    Raises
    ------
    InputError, RetryableError
        If there is nothing to draw; also as `inspect`.
    """
    found = _inspectors.ask("picture", [path], ())
    return cast("Picture", found)


def warm() -> None:
    """Start a process ahead of the first file; if that fails, the first file tries again."""
    with contextlib.suppress(RetryableError):
        _inspectors.warm()


def close() -> None:
    """Kill the processes, whatever they are doing; the next inspection starts another."""
    _inspectors.stop()


class _Inspector:
    """One process; one thread at a time uses it."""

    def __init__(self) -> None:
        try:
            self.helper = HelperProcess(serve)
        except OSError as error:
            raise RetryableError(f"cannot start the inspection process: {error}") from error
        self._ready = -1
        self._asked_at = math.inf

    @property
    def slow(self) -> bool:
        """Whether it has been busy with one question for long; not while it starts."""
        return time.monotonic() - self._asked_at > _SLOW_S

    def ask(self, question: Question) -> Any:
        helper = self.helper
        try:
            if self._ready != helper.pid:
                # Do not charge the file for the startup time.
                try:
                    helper.ask(None, _START_LIMIT_S)
                except (HelperEndedError, HelperLateError) as error:
                    raise RetryableError(f"the inspection process does not start: {error}") from error
                self._ready = helper.pid
            self._asked_at = time.monotonic()
            return helper.ask(question, question.wall_s)
        except HelperEndedError as error:
            if helper.stopped:
                raise RetryableError("the inspection was stopped") from error
            raise
        except OSError as error:
            raise RetryableError(f"cannot start the inspection process: {error}") from error
        finally:
            self._asked_at = math.inf


class _Inspectors:
    """The processes, shared by the threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._all: list[_Inspector] = []
        self._idle: list[_Inspector] = []

    def warm(self) -> _Inspector:
        """Return a process, whoever uses it; start one if there is none."""
        with self._changed:
            if not self._all:
                self._idle.append(self._start())
            return self._all[0]

    def stop(self) -> None:
        with self._changed:
            every, self._all, self._idle = self._all, [], []
            self._changed.notify_all()
        for inspector in every:
            inspector.helper.stop()

    def look(self, kind: str | None, paths: Sequence[Path], levels: Sequence[float]) -> InputFacts:
        return cast("InputFacts", self.ask(kind, paths, levels))

    def ask(self, kind: str | None, paths: Sequence[Path], levels: Sequence[float]) -> object:
        """Return the answer; raise it if it is an error."""
        paths = tuple(Path(path) for path in paths)
        size = 0
        for path in paths:
            with contextlib.suppress(OSError):
                size += path.stat().st_size
        cpu_s = LIMIT_S + size / _SLOWEST_BYTES_PER_S
        folder = None if all(path.is_absolute() for path in paths) else str(Path.cwd())
        question = Question(kind, folder, paths, tuple(levels), cpu_s, cpu_s * WAIT_TIMES)
        with self._borrowed() as inspector:
            answer = _ask(inspector, question)
        if isinstance(answer, Exception):
            raise answer
        return cast("object", answer)

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[_Inspector]:
        inspector = self._borrow()
        try:
            yield inspector
        finally:
            surplus = False
            with self._changed:
                if inspector in self._all:
                    surplus = bool(self._idle)
                    (self._all.remove if surplus else self._idle.append)(inspector)
                self._changed.notify()
            if surplus:
                inspector.helper.stop()

    def _borrow(self) -> _Inspector:
        with self._changed:
            while not self._idle:
                if len(self._all) < _MOST and all(one.slow for one in self._all):
                    return self._start()
                self._changed.wait(_LOOK_S)
            return self._idle.pop()

    def _start(self) -> _Inspector:
        inspector = _Inspector()
        self._all.append(inspector)
        return inspector


_inspectors = _Inspectors()


def _ask(inspector: _Inspector, question: Question) -> Any:
    first = True
    while True:
        try:
            return inspector.ask(question)
        except HelperEndedError as error:
            # The first time may be somebody's kill; a bad file does it again.
            if not first or error.exit_status == -OVERDRAWN:
                raise _verdict(error, question) from error
            first = False
        except HelperLateError as error:
            raise RetryableError(
                f"not read within {question.wall_s:.0f} s",
                where=question.paths[0] if question.paths else None,
                hint="a busy machine, or a disk that does not answer",
            ) from error


def _verdict(error: HelperEndedError, question: Question) -> InputError | RetryableError:
    """Return whose fault it is that the process ended."""
    where = question.paths[0] if question.paths else None
    status = error.exit_status
    if status == -OVERDRAWN:
        return InputError(
            f"still reading after {question.cpu_s:.0f} s of processor time", where=where, expected="an undamaged file"
        )
    name = signal.Signals(-status).name if status is not None and status < 0 else ""
    if status is None or (name and name not in _CRASHES):
        return RetryableError(
            f"the process that reads it was killed ({name or 'unknown'}) twice",
            where=where,
            hint="by somebody, or for lack of memory",
        )
    _log.warning("the inspection process died on a file", extra={"path": str(where)})
    return InputError("the NetCDF library crashes on it", where=where, expected="an undamaged file")
