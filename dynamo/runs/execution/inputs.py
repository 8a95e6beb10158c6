"""The inputs of a run, kept in its folder: cleaning up or overwriting a feed does not change a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamo.errors import InputError
from dynamo.files import beside, sha256_file
from dynamo.places.opening import is_remote, open_place
from dynamo.runs.publish import link_or_copy
from dynamo.store.models import Run


def keep_inputs(run: Run, now: Mapping[str, str] | None = None) -> dict[str, tuple[Path, ...]]:
    """Link (or copy) the input files into the run folder and return them by input; may be repeated.

    ``now`` says of paths where their files are now.

    Raises
    ------
    InputError
        If a file is gone, or has changed since the run was requested.
    PlaceAwayError, PlaceRefusedError
        If one is in a bucket that cannot be read now.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for item in run.inputs:
        path, kept = str(item["path"]), _place(run, item)
        if not kept.exists():
            _keep((now or {}).get(path, path), kept, item)
        found[item["port"]] = (*found.get(item["port"], ()), kept)
    return found


def kept_checksums(run: Run) -> dict[Path, str]:
    """Return the SHA-256 of each kept input."""
    return {_place(run, item): str(item["sha256"]) for item in run.inputs}


def check_inputs(run: Run) -> None:
    """Check that the kept inputs are still those the run was created for: a link shares in-place writes.

    Raises
    ------
    InputError
        If one is not.
    """
    for item in run.inputs:
        if not _is_same(_place(run, item), item):
            raise InputError(
                "the input was overwritten during the run",
                where=item["path"],
                expected=item["sha256"],
                hint="write outside the feed, then rename",
            )


def _place(run: Run, item: Mapping[str, Any]) -> Path:
    return Path(run.run_dir) / "inputs" / str(item["sha256"])[:16] / Path(str(item["path"])).name


def _is_same(path: Path, item: Mapping[str, Any]) -> bool:
    facts = path.stat()
    if facts.st_size != item["bytes"]:
        return False
    return bool(facts.st_mtime_ns == item["mtime_ns"]) or sha256_file(path) == item["sha256"]


def _keep(source: str, kept: Path, item: Mapping[str, Any]) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = beside(kept)
    partial.unlink(missing_ok=True)
    try:
        if is_remote(source):
            folder, _, name = source.rpartition("/")
            open_place(folder).copy(name, partial)
        else:
            link_or_copy(Path(source), partial)
        same = _is_same(partial, item)
    except FileNotFoundError as error:
        raise InputError("the input was removed after it arrived", where=source) from error
    if not same:
        partial.unlink()
        raise InputError("the input changed after it arrived", where=source, expected=item["sha256"])
    partial.replace(kept)
