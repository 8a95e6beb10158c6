"""`dynamo-module NAME --input PORT=FILE ... --output PORT=FILE ... --param NAME=VALUE ...`: one module as a command.

The executable of the abstract workflow's transformations and of the container; it needs neither the store nor the rest
of the command line. With ``--when`` it decides itself whether the module runs; if not, it marks the outputs as not
made, since a planner stages what it was promised, and succeeds.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from dynamo.errors import DynamoError
from dynamo.modules.branching import Skip, run_if
from dynamo.modules.registry import contracts
from dynamo.texts import escaped


def main() -> None:
    """Entry point of `dynamo-module`."""
    from dynamo.workflows.arguments import read_arguments

    try:
        call = read_arguments(sys.argv[1:], contracts())
        module = call.checked()
        outcome = run_if(
            module,
            _paths(call.inputs),
            _paths(call.outputs),
            call.parameters,
            when=call.when,
            numbers=Path(call.numbers) if call.numbers else None,
        )
    except DynamoError as error:
        if os.environ.get("DYNAMO_DEBUG"):
            raise
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    line: dict[str, object] = {"module": module.name}
    if isinstance(outcome, Skip):
        line["skipped"] = outcome.reason
    else:
        line |= {
            "wall_s": outcome.wall_s,
            "cpu_s": outcome.cpu_s,
            "metrics": dict(outcome.metrics),
            "remarks": list(outcome.remarks),
        }
    sys.stdout.write(escaped(orjson.dumps(line).decode()) + "\n")


def _paths(names: Mapping[str, Sequence[str]]) -> dict[str, list[Path]]:
    return {port: [Path(name) for name in files] for port, files in names.items()}


if __name__ == "__main__":
    main()
