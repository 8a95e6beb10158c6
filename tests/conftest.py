"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real radar data: `DYNAMO_TEST_DATA`, or `../shared/data` beside the checkout."""
    folder = Path(os.environ.get("DYNAMO_TEST_DATA") or _BESIDE_CHECKOUT)
    if not (folder / "composites").is_dir():
        pytest.fail(
            f"the real radar data is not in {folder}: set DYNAMO_TEST_DATA to the folder that holds"
            " composites/ and radar/"
        )
    return folder
