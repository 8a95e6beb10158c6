from __future__ import annotations

import pytest

from dynamo.contract import Kind, Parameter
from dynamo.errors import InputError


@pytest.mark.parametrize("kind", ["float", "int", "floats", "ints"])
@pytest.mark.parametrize("text", ["9" * 400, "-" + "9" * 400, "9" * 5000, "1e999", "nan", "x"])
def test_what_is_no_finite_number_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(InputError, match="not a number"):
        Parameter("level", kind, "a level").parse(text, where="--param")
