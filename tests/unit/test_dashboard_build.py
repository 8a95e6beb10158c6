"""When the dashboard is built: a checkout whose sources are newer than what was built of them, and no other tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tools import backend, web


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("web/src/main.tsx", "web/tools/bundle.mjs", "web/package-lock.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        os.utime(path, (1000, 1000))
    monkeypatch.setattr(web, "WEB", tmp_path / "web")
    monkeypatch.setattr(web, "BUILT", tmp_path / "index.html")
    return tmp_path


def test_a_checkout_builds_what_is_missing_or_old(tree: Path) -> None:
    assert web.is_missing()
    assert backend.NODE in backend.get_requires_for_build_wheel()
    built = tree / "index.html"
    built.write_text("")
    assert not web.is_missing()
    assert backend.NODE not in backend.get_requires_for_build_wheel()
    os.utime(built, (999, 999))
    assert web.is_missing()
    assert backend.NODE in backend.get_requires_for_build_sdist()


def test_an_sdist_has_nothing_to_build(tree: Path) -> None:
    (tree / "web").rename(tree / "elsewhere")
    assert not web.is_missing()
    assert backend.NODE not in backend.get_requires_for_build_wheel()


def test_an_editable_installation_asks_for_no_node(tree: Path) -> None:
    assert backend.NODE not in backend.get_requires_for_build_editable()
