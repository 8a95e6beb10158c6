"""Locations of the project's data folders (workflows, containers, mobius_specs, condor)."""

from __future__ import annotations

from pathlib import Path

from dynamo.errors import NotFoundError

#: In a checkout these are links to the top-level folders; in a wheel they are the folders themselves.
DATA_ROOT = Path(__file__).resolve().parent / "_data"


def data_folder(name: str) -> Path:
    """Return the folder ``name`` (``workflows``, ``containers``, ``mobius_specs`` or ``condor``).

    Raises
    ------
    NotFoundError
        If the installation does not contain it.
    """
    folder = DATA_ROOT / name
    if not folder.is_dir():
        raise NotFoundError("the installation lacks this data folder", where=folder, hint="reinstall DyNamo")
    return folder.resolve()
