"""Passwords: hashed by Argon2id, checked in the same time whether the user exists or not."""

from __future__ import annotations

import functools
import secrets
import threading
import unicodedata
from typing import Any

from dynamo.errors import InputError, RetryableError
from dynamo.extras import need

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
#: Each check takes 64 MiB of memory and some 50 ms of a processor, on purpose: others are still answered.
_AT_ONCE = threading.BoundedSemaphore(2)
_PATIENCE_S = 5.0


def hash_password(password: str, *, name: str = "") -> str:
    """Return the hash of a new password.

    Raises
    ------
    InputError
        If it is too short, too long, or the user's name.
    MissingPartError
        If the library is not installed.
    """
    length = len(password)
    if not MIN_CHARACTERS <= length <= MAX_CHARACTERS or password.casefold() == name.casefold():
        what = "the name" if MIN_CHARACTERS <= length <= MAX_CHARACTERS else f"{length} characters"
        raise InputError(
            f"not a good password: {what}",
            where="password",
            expected=f"{MIN_CHARACTERS} to {MAX_CHARACTERS} characters; a few words that only you would put together",
        )
    hashed: str = _hasher().hash(_normal(password))
    return hashed


def check_password(password: str, hashed: str | None) -> tuple[bool, str | None]:
    """Return whether a password is right, and its new hash if the stored one was made in an older way.

    Without a hash, the answer is no, and takes as long.

    Raises
    ------
    RetryableError
        If too many are being checked.
    """
    if not _AT_ONCE.acquire(timeout=_PATIENCE_S):
        raise RetryableError("too many logins at once", hint="retry in a few seconds")
    try:
        right = _verify(password[: MAX_CHARACTERS + 1], hashed or _nobodys())
        right = right and hashed is not None and len(password) <= MAX_CHARACTERS
        renewed = _hasher().hash(_normal(password)) if right and _hasher().check_needs_rehash(hashed) else None
        return right, renewed
    finally:
        _AT_ONCE.release()


def _verify(password: str, hashed: str) -> bool:
    wrong = need("argon2.exceptions", extra="serve")
    try:
        return bool(_hasher().verify(hashed, _normal(password)))
    except (wrong.VerificationError, wrong.InvalidHashError):
        return False


@functools.cache
def _hasher() -> Any:
    return need("argon2", extra="serve").PasswordHasher()


@functools.cache
def _nobodys() -> str:
    """Return the hash of a password that nobody knows."""
    hashed: str = _hasher().hash(secrets.token_urlsafe())
    return hashed


def _normal(password: str) -> str:
    """Return the one form of a text that keyboards and systems write in several."""
    return unicodedata.normalize("NFKC", password)
