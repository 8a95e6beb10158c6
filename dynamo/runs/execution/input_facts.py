"""Facts about a run's inputs before it is planned: from its arrival if known, otherwise by inspecting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo.inspection.facts import InputFacts, facts_from_json
from dynamo.store.models import Arrival, Run


def known_facts(run: Run, arrival: Arrival) -> dict[str, InputFacts]:
    """Return the arrival's facts for the input that is just its file: reading it again would give the same."""
    if arrival.facts is None:
        return {}
    ports = [item["port"] for item in run.inputs]
    mine = [item["port"] for item in run.inputs if Path(item["path"]) == Path(arrival.path)]
    return {port: facts_from_json(arrival.facts) for port in mine if ports.count(port) == 1}


def input_facts(
    formats: Mapping[str, str],
    paths: Mapping[str, Sequence[Path]],
    levels: tuple[float, ...],
    known: Mapping[str, InputFacts],
) -> dict[str, InputFacts]:
    """Return the facts of all inputs, by input; inspect those not known at all ``levels``.

    Parameters
    ----------
    formats, paths
        The format of each input, and its files.
    levels
        Reflectivities that the facts must cover, dBZ.
    known
        Facts from elsewhere.
    """
    facts = {port: one for port, one in known.items() if set(levels) <= set(one.crossings)}
    unknown = {port: several for port, several in paths.items() if port not in facts}
    if unknown:
        from dynamo.inspection.process import inspect_port

        looked = {port: inspect_port(formats.get(port, ""), several, levels) for port, several in unknown.items()}
        facts.update((port, one) for port, one in looked.items() if one is not None)
    return {port: facts[port] for port in paths if port in facts}
