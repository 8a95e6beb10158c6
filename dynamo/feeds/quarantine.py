"""Quarantine: move a bad file aside and write the reason next to it, or move it back; never overwrite anything."""

from __future__ import annotations

import errno
import itertools
import shutil
from pathlib import Path

from dynamo.feeds.completeness import shown
from dynamo.files import beside, fitting

#: Bytes of a number and of what tells the reason, after a name.
_ROOM = len(".1000000.reason")
_IMPOSSIBLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.ENOENT})


def move_aside(path: Path, folder: Path, reason: str) -> Path | None:
    """Move ``path`` into ``folder`` and write ``NAME.reason`` next to it; NAME is escaped if it is not UTF-8,
    and cut if it is too long.

    The reason file reserves the name first, so that two bad files of the same name are both kept.

    Returns
    -------
    Path or None
        Where it is now; None if it cannot be moved (a read-only feed) or is already gone.

    Raises
    ------
    OSError
        If the quarantine cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    goal, note = _reserve(fitting(shown(Path(path.name)), _ROOM), folder, reason)
    try:
        try:
            path.rename(goal)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(path, goal)
    except OSError as error:
        note.unlink(missing_ok=True)
        if error.errno in _IMPOSSIBLE:
            return None
        raise
    return goal


def move_back(moved: Path, path: Path) -> None:
    """Move a file from quarantine to where it came from, unless it is there already; the note of its reason goes.

    Raises
    ------
    OSError
        If it cannot be moved, or another file has its name now (`FileExistsError`).
    """
    if not (moved.exists() or moved.is_symlink()):
        return
    if path.exists() or path.is_symlink():
        raise FileExistsError(errno.EEXIST, "another file has its name now", str(path))
    moved.with_name(moved.name + ".reason").unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        moved.rename(path)
    except FileNotFoundError:
        # Another process did it.
        return
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_across(moved, path)


def _reserve(name: str, folder: Path, reason: str) -> tuple[Path, Path]:
    line = " ".join(reason.split()) + "\n"
    for number in itertools.count():
        goal = folder / (name if number == 0 else f"{name}.{number}")
        note = goal.with_name(goal.name + ".reason")
        if goal.exists() or goal.is_symlink():
            continue
        try:
            with note.open("x") as stream:
                stream.write(line)
        except FileExistsError:
            continue
        return goal, note
    raise AssertionError("unreachable: the numbers never run out")


def _move_across(path: Path, goal: Path) -> None:
    """Move between file systems; if the original cannot be removed, remove the copy."""
    partial = beside(goal)
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, partial, symlinks=True)
            partial.rename(goal)
            shutil.rmtree(path)
        else:
            shutil.copy2(path, partial, follow_symlinks=False)
            partial.rename(goal)
            path.unlink()
    except OSError:
        for leftover in (partial, goal):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        raise
