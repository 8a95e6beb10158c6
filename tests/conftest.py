"""What all tests share."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.needs import DATA, NotRunReport
from tests.tiers import TierReport

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"

# How long examples take to draw and to run says how busy the machine is.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


_STATE = Path(tempfile.gettempdir()) / f"dynamo-tests-{os.getpid()}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test a user's state of its own, which commands outside a project use."""
    os.environ["XDG_STATE_HOME"] = str(_STATE / hashlib.sha256(item.nodeid.encode()).hexdigest()[:12])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of damaged documents of each kind."""
    parser.addoption("--damaged", type=int, default=60, metavar="N", help="damage N documents of each kind")


def pytest_unconfigure() -> None:
    """Remove the tests' states."""
    shutil.rmtree(_STATE, ignore_errors=True)


def pytest_configure(config: pytest.Config) -> None:
    """Report what was not run and how long each tier took."""
    config.pluginmanager.register(NotRunReport())
    config.pluginmanager.register(TierReport())


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real radar data: `DYNAMO_TEST_DATA`, or `../shared/data` beside the checkout."""
    named = os.environ.get("DYNAMO_TEST_DATA")
    folder = Path(named) if named else _BESIDE_CHECKOUT
    if (folder / "composites").is_dir():
        return folder
    if named:
        pytest.fail(f"DYNAMO_TEST_DATA={named} has no composites/ in it", pytrace=False)
    DATA.lacking(f"{folder} has no composites/ in it")
