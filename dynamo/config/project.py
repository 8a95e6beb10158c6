"""Where a command's configuration and state are: those of the project it is in, or else the user's own.

A project is a folder with a ``dynamo.toml``, or with a ``.dynamo`` that holds the state of one. Like git, a command
looks for it in the folder it is started in and in those above. Outside any project, state is in
``$XDG_STATE_HOME/dynamo`` (by default ``~/.local/state/dynamo``), whatever the folder.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dynamo.files import expanded

#: The configuration of a project, and the folder of its state when the file names no other.
CONFIG_FILE = "dynamo.toml"
STATE_FOLDER = ".dynamo"


def project_folder(start: Path) -> Path | None:
    """Return the nearest folder, from ``start`` upwards, that is a project; None if there is none."""
    for folder in (start, *start.parents):
        if any(_is_marked(folder, name) for name in (CONFIG_FILE, STATE_FOLDER)) and _is_trusted(folder, start):
            return folder
    return None


def user_state() -> Path:
    """Return the folder of the user's own state."""
    home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return (expanded(home) / "dynamo").absolute()


def _is_marked(folder: Path, name: str) -> bool:
    path = folder / name
    return path.is_file() if name == CONFIG_FILE else path.is_dir()


def _is_trusted(folder: Path, start: Path) -> bool:
    """Whether nobody else can have put a project above us, as anybody can in ``/tmp``."""
    if folder == start or not folder.stat().st_mode & stat.S_IWOTH:
        return True
    found = [path for name in (CONFIG_FILE, STATE_FOLDER) if (path := folder / name).exists()]
    return all(path.stat().st_uid in trusted_owners() for path in found)


def trusted_owners() -> set[int]:
    """Return whose files in a folder open to all are trusted: root's and our own."""
    return {0, os.geteuid()}
