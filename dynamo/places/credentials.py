"""Credentials for S3, from the places where other programs look for them."""

from __future__ import annotations

import configparser
import os
import stat
from pathlib import Path

from dynamo.places.base import PlaceRefusedError

_DEFAULT = Path("~/.aws/credentials")
_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
}


def credentials(profile: str | None = None) -> dict[str, str]:
    """Return what a credentials file holds for a profile.

    Empty if the environment has keys and no ``profile`` is named, or if there is no file: the library then takes those
    of the environment, the container, or the machine.

    Raises
    ------
    PlaceRefusedError
        If the file cannot be read, others may read it, or it does not have the profile. No message shows a key.
    """
    if profile is None and os.environ.get("AWS_ACCESS_KEY_ID"):
        return {}
    named = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
    path = Path(named or _DEFAULT).expanduser()
    wanted = profile or os.environ.get("AWS_PROFILE")
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError:
        if wanted is None and named is None:
            return {}
        raise PlaceRefusedError("no such credentials file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise PlaceRefusedError(f"cannot be read: {reason}", where=path) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise PlaceRefusedError("others may read these keys", where=path, hint=f"chmod 600 {path}")
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.Error:
        # Its message shows the line.
        raise PlaceRefusedError("not a credentials file", where=path, expected="[PROFILE] and its keys") from None
    section = wanted or "default"
    found = {ours: parser.get(section, theirs, fallback="").strip() for theirs, ours in _KEYS.items()}
    if not (found["access_key_id"] and found["secret_access_key"]):
        if wanted is None:
            return {}
        raise PlaceRefusedError(f"no keys of profile {section!r:.60}", where=path)
    return {name: value for name, value in found.items() if value}
