"""Looking into an input file from many threads, in a warm process of its own.

A damaged file can crash the NetCDF library or keep it busy for ever, and the library is not thread-safe; so one process
looks at one input at a time, and is replaced when a file is too much for it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from dynamo.errors import DynamoError, InputError, RetryableError
from dynamo.inspection.facts import InputFacts
from dynamo.processes import HelperEndedError, HelperLateError, HelperProcess

#: Formats that say what work they cause; files of others are taken as they are.
RADAR = frozenset({"radar-sweep", "radar-volume"})
INSPECTED = frozenset({"casa-nowcast", "hail-grid"}) | RADAR

#: How long a small file may take; a large one has the time to come from a slow disk.
LIMIT_S = 30.0
_SLOWEST_BYTES_PER_S = 5e6
#: How long the process may take to be ready on a machine that is busy.
_START_LIMIT_S = 120.0
#: A process that nobody waits for any more ends itself so much later.
_ORPHAN_S = 10.0

_log = logging.getLogger("dynamo.feeds")


def inspect(path: Path, levels: Sequence[float]) -> InputFacts:
    """Return what the file says of the work it will cause.

    Raises
    ------
    InputError
        If it is not a complete input file, or the process that reads it crashes or does not come to an end.
    RetryableError
        If no process can be started.
    """
    facts: InputFacts = _inspector.look(None, [path], levels)
    return facts


def inspect_port(format_: str, paths: Sequence[Path], levels: Sequence[float]) -> InputFacts | None:
    """Return what the files of one input say of the work they will cause; None for formats that say nothing.

    Parameters
    ----------
    format_
        The format of the input, or several with ``|`` between.
    paths
        Its files: one, the files of one radar volume, or several that each stand alone.
    levels
        See `inspect`.

    Raises
    ------
    InputError
        If a file is not complete, or the files do not belong together; and as `inspect`.
    RetryableError
        As `inspect`.
    """
    formats = set(format_.split("|"))
    if not INSPECTED & formats:
        return None
    # Asked for a radar file, the error is about radar files.
    facts: InputFacts = _inspector.look("radar" if formats <= RADAR else "any", paths, levels)
    return facts


def warm() -> None:
    """Start the process, so that the first file need not wait for it; where that fails, the first file tries again."""
    with contextlib.suppress(RetryableError):
        _inspector.start()


def close() -> None:
    """End the process, whatever it is doing; the next look starts another."""
    _inspector.stop()


class _Inspector:
    """The process, shared by the threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starting = threading.Lock()
        self._helper: HelperProcess | None = None
        self._ready = -1

    def start(self) -> HelperProcess:
        with self._starting:
            if self._helper is None:
                try:
                    self._helper = HelperProcess(_serve)
                except OSError as error:
                    raise RetryableError(f"cannot start the process that looks into files: {error}") from error
            return self._helper

    def stop(self) -> None:
        # Without the lock of those who ask: a file may keep the process busy.
        with self._starting:
            helper, self._helper = self._helper, None
        if helper is not None:
            helper.stop()

    def look(self, kind: str | None, paths: Sequence[Path], levels: Sequence[float]) -> InputFacts:
        paths = [Path(path) for path in paths]
        size = 0
        for path in paths:
            with contextlib.suppress(OSError):
                size += path.stat().st_size
        limit_s = LIMIT_S + size / _SLOWEST_BYTES_PER_S
        # The process was started where this one was then, not where it is now.
        folder = None if all(path.is_absolute() for path in paths) else str(Path.cwd())
        question = (kind, folder, paths, tuple(levels), limit_s)
        where = paths[0] if paths else None
        with self._lock:
            try:
                answer = self._ask(question, limit_s)
            except HelperEndedError:
                # Once may be somebody's kill; a file that is to blame does it again.
                try:
                    answer = self._ask(question, limit_s)
                except HelperEndedError as error:
                    _log.warning("a file ended the process that looked into it", extra={"path": str(where)})
                    raise InputError(
                        "the NetCDF library fails on it", where=where, expected="a file that is not damaged"
                    ) from error
            except HelperLateError as error:
                raise InputError(
                    f"still reading after {limit_s:.0f} s", where=where, expected="a file that is not damaged"
                ) from error
        if isinstance(answer, InputFacts):
            return answer
        raise answer

    def _ask(self, question: Any, limit_s: float) -> Any:
        helper = self.start()
        try:
            if self._ready != helper.pid:
                # The time that the start takes is not the file's.
                try:
                    helper.ask(None, _START_LIMIT_S)
                except (HelperEndedError, HelperLateError) as error:
                    raise RetryableError(f"the process that looks into files does not start: {error}") from error
                self._ready = helper.pid
            return helper.ask(question, limit_s)
        except HelperEndedError as error:
            if helper.stopped:
                raise RetryableError("the looking into files was ended") from error
            raise
        except OSError as error:
            raise RetryableError(f"cannot start the process that looks into files: {error}") from error


_inspector = _Inspector()


def _serve(pipe: Connection) -> None:
    """Answer questions until the pipe closes."""
    import signal

    # Ctrl-C in a terminal reaches the whole group; the daemon decides when this process ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)

    with contextlib.suppress(EOFError, OSError):
        while True:
            question = pipe.recv()
            if question is None:
                pipe.send("ready")
                continue
            # Where the one who asked was killed meanwhile, nobody else ends a library that hangs.
            signal.setitimer(signal.ITIMER_REAL, question[4] + _ORPHAN_S)
            answer = _answer(*question[:4])
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            pipe.send(answer)


def _answer(
    kind: str | None, folder: str | None, paths: list[Path], levels: tuple[float, ...]
) -> InputFacts | Exception:
    from dynamo.inspection.look import inspect_input, inspect_inputs, inspect_radar

    try:
        if folder is not None:
            os.chdir(folder)
        if kind is None:
            return inspect_input(paths[0], levels)
        return inspect_radar(paths, levels) if kind == "radar" else inspect_inputs(paths, levels)
    except DynamoError as error:
        return error
    except OSError as error:
        # Only these parts are sure to reach the other process.
        return OSError(error.errno or errno.EINVAL, error.strerror or str(error))
    except Exception as error:  # broken files make the NetCDF libraries fail in every way
        return InputError(
            f"cannot be read: {type(error).__name__}: {error}",
            where=paths[0] if paths else None,
            expected="a file that is not damaged",
        )
