"""Everything that can be added to DyNamo without changing it: one door for each kind of part.

A new built-in part is one new file and one line here. Another package adds a part with an entry point in the group of
the door; see `dynamo.plugins`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamo.contract import Module
from dynamo.plugins import Door


def _module_problem(name: str, part: object) -> str:
    if not isinstance(part, Module):
        return f"is a {type(part).__name__}, not a dynamo.contract.Module"
    return "" if part.name == name else f"its contract calls it {part.name!r:.60}"


def _has(*attributes: str) -> Callable[[str, object], str]:
    def problem(_name: str, part: object) -> str:
        missing = [attribute for attribute in attributes if not hasattr(part, attribute)]
        return f"has no {' and no '.join(missing)}" if missing else ""

    return problem


#: The scientific steps: each is a `dynamo.contract.Module`.
MODULES: Door[Module] = Door(
    "dynamo.modules",
    "module",
    {
        "split": "dynamo.modules.split:MODULE",
        "contour": "dynamo.modules.contour:MODULE",
        "plot": "dynamo.modules.plot:MODULE",
        "hydroclass": "dynamo.modules.hydroclass:MODULE",
        "hail": "dynamo.modules.hail:MODULE",
        "grid": "dynamo.modules.grid:MODULE",
        "composite": "dynamo.modules.composite:MODULE",
        "hail_plot": "dynamo.modules.hail_plot:MODULE",
        "hail_contour": "dynamo.modules.hail_contour:MODULE",
    },
    _module_problem,
)

#: What executes runs: each is called with its options and is a `dynamo.engines.base.Engine` then.
ENGINES: Door[Any] = Door(
    "dynamo.engines",
    "engine",
    {
        "local": "dynamo.engines.local:LocalEngine",
        "condor": "dynamo.engines.condor.engine:CondorEngine",
        "pegasus": "dynamo.engines.pegasus:PegasusEngine",
    },
)
