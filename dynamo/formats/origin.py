"""What the files that a module writes say of their origin, in CF's and ACDD's attributes.

A writer asks `attributes`; whoever runs a module says with `of_module` what there is to tell. Only what the run's key
holds is told (module, version, parameters, and the checksums of the inputs): no clock, host, path, or run id, so that
the same input gives the same bytes on every engine.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dynamo.files import sha256_file

_NO_CHECKSUMS: Mapping[Path, str] = {}
_known: ContextVar[Mapping[Path, str]] = ContextVar("known checksums", default=_NO_CHECKSUMS)
_origin: ContextVar[_MadeBy | None] = ContextVar("origin", default=None)


@dataclass(frozen=True)
class _MadeBy:
    module: str
    version: str
    inputs: Mapping[str, Sequence[Path]]
    parameters: Mapping[str, object]

    @cached_property
    def attributes(self) -> dict[str, str]:
        known = _known.get()
        sums = {
            port: [known.get(path) or sha256_file(path) for path in paths]
            for port, paths in sorted(self.inputs.items())
        }
        given = json.dumps(dict(sorted(self.parameters.items())))
        return {
            "history": f"dynamo-module {self.module} {self.version} {given}",
            "source": f"module {self.module} of DyNamo",
            "product_version": self.version,
            "input_sha256": json.dumps(sums),
            "parameters": given,
        }


@contextlib.contextmanager
def of_module(
    name: str, version: str, inputs: Mapping[str, Sequence[Path]], parameters: Mapping[str, object]
) -> Iterator[None]:
    """Have the files written in the block say that this module made them, of these inputs by port."""
    token = _origin.set(_MadeBy(name, version, inputs, parameters))
    try:
        yield
    finally:
        _origin.reset(token)


@contextlib.contextmanager
def known_checksums(sums: Mapping[Path, str]) -> Iterator[None]:
    """Spare the block the hashing of files whose SHA-256 is known."""
    token = _known.set(sums)
    try:
        yield
    finally:
        _known.reset(token)


def attributes() -> dict[str, str]:
    """Return the global attributes that name the origin; none outside of a module.

    ``history``
        The module, its version, and its parameters, as a command.
    ``source``, ``product_version``
        The module and its version.
    ``input_sha256``
        JSON: the checksums of the input files by port, in order.
    ``parameters``
        JSON: the complete parameters.
    """
    origin = _origin.get()
    return {} if origin is None else dict(origin.attributes)
