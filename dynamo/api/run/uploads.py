"""Files that clients send for a run."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi.concurrency import run_in_threadpool

from dynamo.api.problems import Refusal
from dynamo.errors import InputError, NotFoundError, RetryableError
from dynamo.files import private_folder

MAX_BYTES = 1 << 30
#: How long a file is kept, seconds: runs that read it may be retried until then.
_KEPT_S = 7 * 86_400.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\Z")
_ID = re.compile(r"[0-9a-f]{32}\Z")


async def take_upload(root: Path, name: str, parts: AsyncIterator[bytes]) -> str:
    """Store a file; return its id.

    Parameters
    ----------
    root
        The folder of uploads.
    name
        The file's name: its format may depend on it.
    parts
        The content.

    Raises
    ------
    InputError, Refusal
        If the name is not one of a plain file, or the content is too large.
    RetryableError
        If it cannot be stored now.
    """
    if not _NAME.match(name):
        raise InputError(f"not a plain file name: {name!r:.80}", where="name", expected="letters, digits, and ._+-")
    number = secrets.token_hex(16)
    try:
        await _store(root, root / number, name, parts)
    except OSError as error:
        raise RetryableError(f"the file cannot be stored: {error.strerror or error}") from error
    return number


async def _store(root: Path, folder: Path, name: str, parts: AsyncIterator[bytes]) -> None:
    await run_in_threadpool(_begin, root, folder)
    # It gets its name once it is whole.
    partial = folder / ".part"
    try:
        size = 0
        with partial.open("wb") as stream:
            async for part in parts:
                size += len(part)
                if size > MAX_BYTES:
                    raise Refusal(
                        413, "file too large", expected=f"at most {MAX_BYTES:,} bytes", headers={"Connection": "close"}
                    )
                await run_in_threadpool(stream.write, part)
        partial.replace(folder / name)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def upload_path(root: Path, number: str) -> Path:
    """Return the file of an upload; raise `NotFoundError` if there is none."""
    folder = root / number if _ID.match(number) else None
    found = [] if folder is None else [path for path in folder.glob("*") if path.name != ".part"]
    if not found:
        raise NotFoundError(f"no upload {number!r:.60}", hint="uploads are kept for 7 days")
    return found[0]


def _begin(root: Path, folder: Path) -> None:
    private_folder(root)
    for old in root.iterdir():
        # Another upload may remove it just now.
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < time.time() - _KEPT_S:
                shutil.rmtree(old, ignore_errors=True)
    private_folder(folder)
