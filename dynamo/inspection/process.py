"""Inspect input files from many threads, in a separate warm process.

A damaged file can crash the NetCDF library or hang it, and the library is not thread-safe. So one process inspects one
input at a time, and is replaced if a file brings it down.
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

#: Formats with known cost; files in other formats are accepted unread.
RADAR = frozenset({"radar-sweep", "radar-volume"})
INSPECTED = frozenset({"casa-nowcast", "hail-grid"}) | RADAR

#: Time limit for a small file; a large one gets the time to be read from a slow disk.
LIMIT_S = 30.0
_SLOWEST_BYTES_PER_S = 5e6
#: Time limit for the process to start on a busy machine.
_START_LIMIT_S = 120.0
#: Time after which a process that nobody waits for exits.
_ORPHAN_S = 10.0

_log = logging.getLogger("dynamo.feeds")


def inspect(path: Path, levels: Sequence[float]) -> InputFacts:
    """Return the facts of a file that determine the work it causes.

    Raises
    ------
    InputError
        If it is not a complete input file, or the process reading it crashes or hangs.
    RetryableError
        If the process cannot be started.
    """
    facts: InputFacts = _inspector.look(None, [path], levels)
    return facts


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
    facts: InputFacts = _inspector.look("radar" if formats <= RADAR else "any", paths, levels)
    return facts


def warm() -> None:
    """Start the process ahead of the first file; if that fails, the first file tries again."""
    with contextlib.suppress(RetryableError):
        _inspector.start()


def close() -> None:
    """Kill the process, whatever it is doing; the next inspection starts another."""
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
                    raise RetryableError(f"cannot start the inspection process: {error}") from error
            return self._helper

    def stop(self) -> None:
        # Without the callers' lock: a file may keep the process busy.
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
        # The process has the working directory of its start, which may differ from the current one.
        folder = None if all(path.is_absolute() for path in paths) else str(Path.cwd())
        question = (kind, folder, paths, tuple(levels), limit_s)
        where = paths[0] if paths else None
        with self._lock:
            try:
                answer = self._ask(question, limit_s)
            except HelperEndedError:
                # The first time may be somebody's kill; a bad file does it again.
                try:
                    answer = self._ask(question, limit_s)
                except HelperEndedError as error:
                    _log.warning("the inspection process died on a file", extra={"path": str(where)})
                    raise InputError(
                        "the NetCDF library crashes on it", where=where, expected="an undamaged file"
                    ) from error
            except HelperLateError as error:
                raise InputError(
                    f"still reading after {limit_s:.0f} s", where=where, expected="an undamaged file"
                ) from error
        if isinstance(answer, InputFacts):
            return answer
        raise answer

    def _ask(self, question: Any, limit_s: float) -> Any:
        helper = self.start()
        try:
            if self._ready != helper.pid:
                # Do not charge the file for the startup time.
                try:
                    helper.ask(None, _START_LIMIT_S)
                except (HelperEndedError, HelperLateError) as error:
                    raise RetryableError(f"the inspection process does not start: {error}") from error
                self._ready = helper.pid
            return helper.ask(question, limit_s)
        except HelperEndedError as error:
            if helper.stopped:
                raise RetryableError("the inspection was stopped") from error
            raise
        except OSError as error:
            raise RetryableError(f"cannot start the inspection process: {error}") from error


_inspector = _Inspector()


def _serve(pipe: Connection) -> None:
    """Serve requests until the pipe closes."""
    import signal

    # Ctrl-C in a terminal reaches the whole group; the daemon decides when this process stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)

    with contextlib.suppress(EOFError, OSError):
        while True:
            question = pipe.recv()
            if question is None:
                pipe.send("ready")
                continue
            # If the caller was killed meanwhile, nobody else stops a hanging library.
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
        # Only these parts are sure to survive pickling.
        return OSError(error.errno or errno.EINVAL, error.strerror or str(error))
    except Exception as error:  # broken files make the NetCDF libraries fail in every way
        return InputError(
            f"cannot be read: {type(error).__name__}: {error}",
            where=paths[0] if paths else None,
            expected="an undamaged file",
        )
