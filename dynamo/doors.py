"""Extension points of DyNamo: one door per kind of part.

A new built-in part is one new file and one line here. Other packages add parts with entry points in the door's group;
see `dynamo.plugins`.
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


#: Scientific steps; each part is a `dynamo.contract.Module`.
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

#: Engines that execute runs; calling a part with its options makes a `dynamo.engines.base.Engine`.
ENGINES: Door[Any] = Door(
    "dynamo.engines",
    "engine",
    {
        "local": "dynamo.engines.local:LocalEngine",
        "condor": "dynamo.engines.condor.engine:CondorEngine",
        "pegasus": "dynamo.engines.pegasus:PegasusEngine",
    },
)
