"""The inputs of a run, kept in its folder: a feed that is tidied up or written over does not change a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dynamo.errors import InputError
from dynamo.files import sha256_file
from dynamo.runs.publish import link_or_copy
from dynamo.store.models import Run


def keep_inputs(run: Run) -> dict[str, tuple[Path, ...]]:
    """Link (or copy) the input files into the run folder and return them by input; may be repeated.

    Raises
    ------
    InputError
        If a file has gone, or is not what it was when the run was asked for.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for item in run.inputs:
        source, kept = Path(item["path"]), _place(run, item)
        if not kept.exists():
            _keep(source, kept, item)
        found[item["port"]] = (*found.get(item["port"], ()), kept)
    return found


def check_inputs(run: Run) -> None:
    """See that the kept inputs are still what the run was made for: a link shares what is written in place.

    Raises
    ------
    InputError
        If one is not.
    """
    for item in run.inputs:
        if not _is_same(_place(run, item), item):
            raise InputError(
                "the input was written over while the run worked",
                where=item["path"],
                expected=item["sha256"],
                hint="write beside the feed and rename",
            )


def _place(run: Run, item: Mapping[str, Any]) -> Path:
    return Path(run.run_dir) / "inputs" / str(item["sha256"])[:16] / Path(str(item["path"])).name


def _is_same(path: Path, item: Mapping[str, Any]) -> bool:
    facts = path.stat()
    if facts.st_size != item["bytes"]:
        return False
    return bool(facts.st_mtime_ns == item["mtime_ns"]) or sha256_file(path) == item["sha256"]


def _keep(source: Path, kept: Path, item: Mapping[str, Any]) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_name(f".{kept.name}.part")
    partial.unlink(missing_ok=True)
    try:
        link_or_copy(source, partial)
        same = _is_same(partial, item)
    except FileNotFoundError as error:
        raise InputError("the input has gone since it arrived", where=source) from error
    if not same:
        partial.unlink()
        raise InputError("the input has changed since it arrived", where=source, expected=item["sha256"])
    partial.replace(kept)
