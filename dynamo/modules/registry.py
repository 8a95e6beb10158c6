"""The modules by name: built-in ones, and those of installed packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dynamo.contract import Module
from dynamo.doors import MODULES


def find_module(name: str) -> Module:
    """Return the module ``name``; no other one is imported.

    Raises
    ------
    NotFoundError
        If the module does not exist.
    PluginError
        If it is one of another package that cannot be used.
    """
    return MODULES.load(name)


def contracts() -> Mapping[str, Module]:
    """Return every module by name; each is imported when it is looked up, and raises `PluginError` where it is broken.

    So a document is checked against the modules that it names, whatever else is installed.
    """
    return _Contracts()


class _Contracts(Mapping[str, Module]):
    def __getitem__(self, name: str) -> Module:
        if name not in MODULES:
            raise KeyError(name)
        return MODULES.load(name)

    def __contains__(self, name: object) -> bool:
        return name in MODULES

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES.names())

    def __len__(self) -> int:
        return len(MODULES.names())
