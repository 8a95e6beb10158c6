"""The key that makes runs idempotent: the same work requested twice has the same key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import orjson

#: Length of the part of the key that names a run and its product folder.
SHORT = 12


def run_key(
    workflow: str,
    version: str,
    document_sha256: str,
    inputs: Mapping[str, Sequence[str]],
    parameters: Mapping[str, object],
    *,
    modules: Mapping[str, str] | None = None,
    variant: str = "",
    again: int = 0,
) -> str:
    """Return the key of a run.

    Parameters
    ----------
    workflow, version, document_sha256
        The workflow to run.
    inputs
        SHA-256 of each input's files, in order; file names and folders do not count.
    parameters
        The complete parameters, defaults filled in; 45 and 45.0 are the same.
    modules
        The version of each module that the workflow uses, so that a mended one computes again.
    variant
        The name that the products are published under beside the current ones, if they are.
    again
        How many times the same work was done before on purpose.

    Returns
    -------
    str
        64 lower-case hexadecimal digits.
    """
    identity: dict[str, object] = {
        "workflow": workflow,
        "version": version,
        "document": document_sha256,
        "inputs": {port: list(sums) for port, sums in inputs.items()},
        "parameters": _plain(parameters),
        **({"modules": dict(modules)} if modules else {}),
        **({"variant": variant} if variant else {}),
        **({"again": again} if again else {}),
    }
    return hashlib.sha256(canonical_json(identity)).hexdigest()


def canonical_json(value: object) -> bytes:
    """Return ``value`` as canonical JSON, the form that is hashed: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
