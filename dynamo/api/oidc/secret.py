"""The secret that the provider gave to this server: from the environment, or a file that only its owner reads."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dynamo.config.oidc import OidcSection
from dynamo.errors import InputError, NotFoundError
from dynamo.files import expanded

_WHERE = "[serve.oidc]"


def client_secret(section: OidcSection, base: Path) -> str | None:
    """Return the client secret; None for a client that has none and shows by PKCE alone who it is.

    Raises
    ------
    NotFoundError
        If it is not where the settings say.
    InputError
        If others may read it. No message shows it.
    """
    if section.client_secret_env is not None:
        text = os.environ.get(section.client_secret_env, "").strip()
        if not text:
            raise NotFoundError(f"the environment variable {section.client_secret_env} is empty", where=_WHERE)
        return text
    if section.client_secret_file is None:
        return None
    path = base / expanded(section.client_secret_file)
    try:
        mode = path.stat().st_mode
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise NotFoundError(f"client_secret_file {path}: {reason}", where=_WHERE) from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise InputError("others may read the client secret", where=path, hint=f"chmod 600 {path}")
    if not text:
        raise InputError("there is no client secret", where=path)
    return text
