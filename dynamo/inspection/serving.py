"""The inspection process: it answers one question about files after another, within a limit of processor time."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from dynamo.errors import DynamoError, InputError, passing_fault
from dynamo.inspection.facts import InputFacts

if TYPE_CHECKING:
    from dynamo.inspection.picture import Picture

#: Time after which a process that nobody waits for exits.
_ORPHAN_S = 10.0


@dataclass(frozen=True)
class Question:
    """What to find out.

    Attributes
    ----------
    kind
        None for the facts of one file, ``radar`` for those of the files of one volume, ``any`` for those of several,
        ``picture`` for a drawing of one file.
    folder
        Working directory of the caller, if paths are relative to it: this process has that of its start.
    cpu_s, wall_s
        Processor time after which the process ends itself, with `OVERDRAWN`, and time after which the caller kills it.
    """

    kind: str | None
    folder: str | None
    paths: tuple[Path, ...]
    levels: tuple[float, ...]
    cpu_s: float
    wall_s: float


#: The signal that ends the process when it has used up its processor time, whatever its library does at the moment.
OVERDRAWN = signal.SIGPROF


def serve(pipe: Connection) -> None:
    """Answer until the pipe closes; the answer to None is ``ready``."""
    # Ctrl-C in a terminal reaches the whole group; the daemon decides when this process stops.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGALRM, OVERDRAWN):
        signal.signal(number, signal.SIG_DFL)
    # Loading the libraries of nowcasts is not charged to the first file.
    for module in ("dynamo.inspection.look", "dynamo.formats.radar.sniff", "dynamo.formats.hail_grid"):
        import_module(module)

    with contextlib.suppress(EOFError, OSError):
        while True:
            question: Question | None = pipe.recv()
            if question is None:
                pipe.send("ready")
                continue
            signal.setitimer(signal.ITIMER_PROF, question.cpu_s)
            # If the caller was killed meanwhile, nobody else stops a library that waits forever.
            signal.setitimer(signal.ITIMER_REAL, question.wall_s + _ORPHAN_S)
            found = answer(question)
            for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
                signal.setitimer(timer, 0.0)
            pipe.send(found)


def answer(question: Question) -> InputFacts | Picture | Exception:
    """Return the facts or the picture that were asked for, or why there are none."""
    from dynamo.inspection.look import inspect_input, inspect_inputs, inspect_radar

    paths, levels = question.paths, question.levels
    try:
        if question.folder is not None:
            os.chdir(question.folder)
        if question.kind == "picture":
            from dynamo.inspection.picture import draw

            return draw(paths[0])
        if question.kind is None:
            return inspect_input(paths[0], levels)
        return inspect_radar(paths, levels) if question.kind == "radar" else inspect_inputs(paths, levels)
    except DynamoError as error:
        # Readers report what they cannot read as bad input, whatever the reason: a disk that fails says nothing of it.
        fault = passing_fault(error)
        return error if fault is None else _plain(fault)
    except OSError as error:
        return _plain(error)
    except Exception as error:  # broken files make the NetCDF libraries fail in every way
        return InputError(
            f"cannot be read: {type(error).__name__}: {error}",
            where=paths[0] if paths else None,
            expected="an undamaged file",
        )


def _plain(error: OSError) -> OSError:
    """Return the parts of an error that are sure to survive pickling."""
    return OSError(error.errno or errno.EINVAL, error.strerror or str(error))
