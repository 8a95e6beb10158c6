"""Publication: all products of a run and their index appear at once, or not at all.

The products are hard-linked (or copied) into a staging folder on the products' file system, the index is written next
to them, and the folder is renamed to ``PRODUCTS/WORKFLOW/YYYYmmdd/HHMMSS-SHORTKEY``. An existing folder with this key
was published before a crash: it is recognized by its index and kept.

Published files are read-only. If some of them are gone, the run can be published again in the place of the rest.

``PRODUCTS/WORKFLOW/latest`` links to the newest by valid time; it is swapped atomically and never moves back, except
from data of a clock that is ahead, which it never points to.

A killed process never leaves a partial product. Against power loss, ``fsync`` flushes every file and folder to disk
before the rename becomes visible, and the rename itself before the store records the publication.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from dynamo.errors import InputError, RunFailedError
from dynamo.files import beside, copy_file, public_mode, sha256_file, sync_directory, write_bytes
from dynamo.places.base import FilePlace
from dynamo.places.opening import is_remote, open_place
from dynamo.runs.keys import SHORT
from dynamo.times import ahead_of, to_iso, utc_now

#: Between the workflow and the variant in the name of a folder of products beside the current ones.
BESIDE = "@"
INDEX = "index.json"
#: Provenance as W3C PROV-JSON, if it is asked for.
PROV = "prov.json"
#: What may lie in a product folder besides the products.
SIDECARS = frozenset({INDEX, PROV})
LATEST = "latest"
_STAGING = ".staging"
_LOCK = ".latest.lock"
_TRIES = 5
#: The lead is in the file names of the original code: ``mrt_STORM_CASA_12_...`` and ``..._12min_...``.
_LEAD = re.compile(r"_(\d{1,4})min_|_CASA_(\d{1,4})_")
Describe = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_RELEASE = re.compile(r"^(\d{8})/(\d{6})-[0-9a-f]+$")


@dataclass(frozen=True)
class Published:
    """One file of a publication; ``lfn`` is its name within the product folder."""

    lfn: str
    sha256: str
    bytes: int
    lead_min: int | None
    valid_at: datetime | None


@dataclass(frozen=True)
class Publication:
    """What was published, and whether an earlier attempt had already done it."""

    place: FilePlace
    products: tuple[Published, ...]
    index: Mapping[str, Any]
    found: bool = False

    @property
    def folder(self) -> Path:
        """The folder of one that is in the products folder."""
        return Path(self.place.location)


def publish(
    work: Path,
    lfns: Sequence[str],
    *,
    root: Path,
    workflow: str,
    key: str,
    valid_at: datetime,
    facts: Mapping[str, Any],
    fsync: bool = False,
    old: bool = False,
    describe_origin: Describe | None = None,
) -> Publication:
    """Publish the files ``lfns`` of the folder ``work``.

    Parameters
    ----------
    work, lfns
        Where the products are, and their names.
    root
        The products folder.
    workflow, key, valid_at
        Name the folder: the workflow, the run key, and the valid time of the products.
    facts
        The rest of the index: run id, versions, inputs, parameters, times.
    fsync
        Also survive a power loss.
    old
        The products are of the past: they replace nothing newer as ``latest``, even if its folder is gone.
    describe_origin
        Makes from the index what is written as ``prov.json`` beside it.

    Raises
    ------
    RunFailedError
        If a product is missing or is not a file.
    OSError
        If the products folder cannot be written (full, read-only); nothing is published then.
    """
    base = root / workflow
    target = base / valid_at.strftime("%Y%m%d") / f"{valid_at:%H%M%S}-{key[:SHORT]}"
    found = read_publication(target, key)
    if found is None or not is_whole(found):
        emptied = target.is_dir() and not any(path.is_file() for path in target.rglob("*"))
        rest = target if found is not None or emptied else None
        found = _stage_and_rename(work, lfns, base, target, key, valid_at, facts, fsync, rest, describe_origin)
    point_latest(base, target, old=old)
    return found


def line_folder(workflow: str, variant: str) -> str:
    """Return the name of the folder of a workflow's products: ``WORKFLOW``, or ``WORKFLOW@VARIANT``."""
    return f"{workflow}{BESIDE}{variant}" if variant else workflow


def read_publication(location: Path | str, key: str | None = None) -> Publication | None:
    """Return the publication at a location; None if nothing was published there.

    Raises
    ------
    InputError
        If it holds anything but the publication of ``key``.
    PlaceAwayError, PlaceRefusedError
        If it is in a bucket that cannot be read now.
    """
    place = open_place(location)
    where = f"{place.location}/{INDEX}"
    try:
        index = orjson.loads(place.read(INDEX))
        products = tuple(
            Published(
                lfn=item["name"],
                sha256=item["sha256"],
                bytes=item["bytes"],
                lead_min=item.get("lead_min"),
                valid_at=None if item.get("valid_at") is None else datetime.fromisoformat(item["valid_at"]),
            )
            for item in index["products"]
        )
        owner = index["key"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"not an index: {error}", where=where, hint="move the folder away") from error
    if key is not None and owner != key:
        raise InputError(f"holds the products of run {owner}", where=place.location, expected=key)
    return Publication(place, products, index, found=True)


def is_gone(publication: Publication) -> bool:
    """Return whether any published file is not there any more."""
    return any(_size(publication.place, item.lfn) is None for item in publication.products)


def is_whole(publication: Publication) -> bool:
    """Return whether every published file is still there, with the size it had."""
    return all(_size(publication.place, item.lfn) == item.bytes for item in publication.products)


def point_latest(base: Path, target: Path, *, old: bool = False) -> bool:
    """Point ``base/latest`` to ``target`` unless it points to something newer; return whether it now does.

    A valid time ahead of the clock is not newer, and nothing points to it. An ``old`` one does not replace something
    newer that is gone, either.
    """
    relative, now = target.relative_to(base).as_posix(), utc_now()
    if _is_ahead(relative, now):
        return False
    with _locked(base / _LOCK):
        there = _linked(base)
        newer = _release(there) > _release(relative) and not _is_ahead(there, now)
        if newer and (old or (base / LATEST).exists()):
            return False
        _link(base, relative)
        return True


def links_to(folder: Path) -> bool:
    """Tell whether the ``latest`` of its workflow points to a product folder."""
    link = folder.parent.parent / LATEST
    return link.is_symlink() and link.parent / link.readlink() == folder


@dataclass(frozen=True)
class LatestLink:
    """Where ``latest`` of a workflow pointed, and where it points now; empty for nowhere."""

    before: str
    after: str


def repair_latest(base: Path, *, dry: bool = False) -> LatestLink:
    """Point ``base/latest`` to the newest complete publication that is not ahead of the clock, even if that is back.

    Without any, the link is removed. With ``dry`` nothing changes, and the answer says what would.
    """
    now = utc_now()
    with _locked(base / _LOCK):
        before, after = _linked(base), ""
        found = (path.relative_to(base).as_posix() for path in base.glob("[0-9]*/*-*") if path.is_dir())
        for relative in sorted(filter(_RELEASE.match, found), key=_release, reverse=True):
            if not _is_ahead(relative, now) and _is_complete(base / relative):
                after = relative
                break
        if dry or after == before:
            return LatestLink(before, after)
        if after:
            _link(base, after)
        else:
            (base / LATEST).unlink(missing_ok=True)
        return LatestLink(before, after)


def remove_empty(base: Path) -> None:
    """Remove the folder of a workflow's products if it has none; whoever publishes meanwhile makes it again."""
    for day in base.glob("[0-9]*"):
        _remove_if_empty(day)
    if any(base.glob("[0-9]*")) or (base / LATEST).is_symlink():
        return
    _remove_if_empty(base / _STAGING)
    if {path.name for path in base.iterdir()} <= {_LOCK}:
        (base / _LOCK).unlink(missing_ok=True)
        _remove_if_empty(base)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def export(publication: Publication, out: Path) -> None:
    """Also put copies of the products and the index in ``out``; each file appears whole.

    Raises
    ------
    InputError
        If ``out`` is not a folder.
    """
    if out.exists() and not out.is_dir():
        raise InputError("is not a folder", where=out, expected="a folder for the products")
    out.mkdir(parents=True, exist_ok=True)
    place = publication.place
    if not is_remote(place.location) and out.samefile(place.location):
        return
    sidecars = [name for name in sorted(SIDECARS) if _size(place, name) is not None]
    for name in (*(item.lfn for item in publication.products), *sidecars):
        goal = out / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        partial = beside(goal)
        partial.unlink(missing_ok=True)
        # Not a link: whoever edits the copy must not edit the publication.
        place.copy(name, partial)
        partial.replace(goal)


def link_or_copy(source: Path, goal: Path) -> None:
    """Give ``goal`` the content of ``source``, without copying if the file system allows it."""
    real = source.resolve()
    try:
        os.link(real, goal)
    except OSError as error:
        if error.errno not in (
            errno.EXDEV,
            errno.EPERM,
            errno.EMLINK,
            errno.EOPNOTSUPP,
            errno.ENOSYS,
            errno.EACCES,
        ):
            raise
        copy_file(real, goal)


def describe(lfn: str, valid_at: datetime) -> tuple[int | None, datetime | None]:
    """Return lead in minutes and valid time of a product, from its name; None if the name has no lead."""
    match = _LEAD.search(lfn)
    if match is None:
        return None, None
    lead = int(match[1] or match[2])
    return lead, valid_at + timedelta(minutes=lead)


def _stage_and_rename(
    work: Path,
    lfns: Sequence[str],
    base: Path,
    target: Path,
    key: str,
    valid_at: datetime,
    facts: Mapping[str, Any],
    fsync: bool,
    rest: Path | None,
    describe_origin: Describe | None,
) -> Publication:
    """Assemble the publication and put it in place, of what is left of an earlier one if there is a ``rest``."""
    staging = base / _STAGING / key
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        products = tuple(_stage(work, lfn, staging, valid_at) for lfn in lfns)
        index = {**facts, "key": key, "products": [_entry(item) for item in products]}
        written = {INDEX: index, **({} if describe_origin is None else {PROV: describe_origin(index)})}
        for name, data in written.items():
            write_bytes(staging / name, orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z))
            _open_up(staging / name)
        if fsync:
            _sync_tree(staging)
        if rest is not None:
            shutil.rmtree(rest)
        _into_place(staging, target)
    except OSError as error:
        shutil.rmtree(staging, ignore_errors=True)
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        raise InputError("exists but was not published by DyNamo", where=target, hint="move it away") from error
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if fsync:
        for folder in (target.parent, base, base.parent):
            sync_directory(folder)
    return Publication(open_place(target), products, index)


def _into_place(staging: Path, target: Path) -> None:
    for left in reversed(range(_TRIES)):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            staging.rename(target)
            return
        except FileNotFoundError:
            # Retention removed the day's folder, which was empty, at this moment.
            if not left:
                raise


def _stage(work: Path, lfn: str, staging: Path, valid_at: datetime) -> Published:
    source = work / lfn
    if not source.is_file():
        raise RunFailedError("the product was not written", where=lfn, expected=f"a file {source}")
    goal = staging / lfn
    if "/" in lfn:
        goal.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        # An input that is a product, too: its file is somebody else's.
        copy_file(source, goal)
    else:
        link_or_copy(source, goal)
    _open_up(goal)
    lead, valid = describe(lfn, valid_at)
    return Published(lfn, sha256_file(goal), goal.stat().st_size, lead, valid)


def _size(place: FilePlace, name: str) -> int | None:
    try:
        return place.size(name)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _open_up(product: Path) -> None:
    """Let others read a product as the umask says, and nobody change it: the run's files are for their owner only."""
    mode = public_mode() & ~0o222
    try:
        product.chmod(mode)
    except PermissionError:
        # A link to a file of the account that the job ran as; a copy is ours.
        mine = beside(product)
        shutil.copyfile(product, mine)
        mine.chmod(mode)
        mine.replace(product)


def _entry(item: Published) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": item.lfn, "sha256": item.sha256, "bytes": item.bytes}
    if item.lead_min is not None:
        entry["lead_min"] = item.lead_min
    if item.valid_at is not None:
        entry["valid_at"] = to_iso(item.valid_at)
    return entry


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds everything its index names."""
    try:
        publication = read_publication(folder)
    except (InputError, OSError):
        return False
    return publication is not None and all((folder / item.lfn).is_file() for item in publication.products)


def _linked(base: Path) -> str:
    link = base / LATEST
    return link.readlink().as_posix() if link.is_symlink() else ""


def _link(base: Path, relative: str) -> None:
    fresh = base / f".{LATEST}.{os.getpid()}.part"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(relative)
    fresh.replace(base / LATEST)


def _is_ahead(relative: str, now: datetime) -> bool:
    """Whether the valid time in the name of a publication's folder is ahead of the clock."""
    day, time = _release(relative)
    try:
        return bool(ahead_of(datetime.strptime(day + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC), now))
    except ValueError:
        return False


def _release(target: str) -> tuple[str, str]:
    match = _RELEASE.match(target)
    return ("", "") if match is None else (match[1], match[2])


def _sync_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            with (Path(parent) / name).open("rb") as stream:
                os.fsync(stream.fileno())
        sync_directory(Path(parent))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    for left in reversed(range(_TRIES)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            stream = path.open("a")
            break
        except FileNotFoundError:
            # `remove_empty` removed the folder at this moment.
            if not left:
                raise
    with stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
