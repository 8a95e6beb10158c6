"""Whether any slot of the pool could run a job, and if none, why not: what ``condor_q -better-analyze`` looks at.

A slot is judged as if it were empty, so a job that only waits for others is not mistaken for one that waits in vain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

#: Divisible resources: the job's request, the slot's amount, the amount when it is empty, its unit, units per number.
_RESOURCES = (
    ("RequestCpus", "Cpus", "TotalSlotCpus", "cores", 1),
    ("RequestMemory", "Memory", "TotalSlotMemory", "MB of memory", 1),
    ("RequestDisk", "Disk", "TotalSlotDisk", "MB of disk", 1024),
    ("RequestGPUs", "GPUs", "TotalSlotGPUs", "GPUs", 1),
)
#: What some conditions mean to somebody who did not write them.
_PLAIN = {
    "TARGET.HasContainer": "no slot has a container runtime",
    "TARGET.HasDockerURL": "no slot's container runtime takes docker:// images",
    "TARGET.HasSIF": "no slot's container runtime takes .sif images",
    "TARGET.HasSandboxImage": "no slot's container runtime takes image folders",
}
_LENGTH = 160


def why_none(job: Any, slots: Sequence[Any]) -> str:
    """Return why no slot could run the job; empty if at least one could.

    Parameters
    ----------
    job
        The job's ClassAd, with its requirements and everything they name.
    slots
        The ClassAds of the pool's slots, see `emptied`.
    """
    if not slots:
        return "the pool has no slots"
    if any(job.symmetricMatch(slot) for slot in slots):
        return ""
    found = [*_too_much(job, slots), *_unmet(job, slots)]
    if found:
        return "; ".join(found)
    if not any(_evaluates(job, "Requirements", slot) for slot in slots):
        return "no slot meets all of the job's requirements at once"
    return "no slot that meets the job's requirements accepts it (START)"


def emptied(slot: Any) -> Any:
    """Return a slot's ClassAd as it would be without jobs."""
    for _, amount, total, _, _ in _RESOURCES:
        if slot.get(total) is not None:
            slot[amount] = slot[total]
    return slot


def _too_much(job: Any, slots: Sequence[Any]) -> Iterator[str]:
    for request, amount, _, unit, scale in _RESOURCES:
        wanted = _number(job, request)
        most = max(_number(slot, amount) for slot in slots)
        if wanted > most:
            yield f"no slot has {wanted / scale:,.0f} {unit}, the largest has {most / scale:,.0f}"


def _unmet(job: Any, slots: Sequence[Any]) -> Iterator[str]:
    """Yield the job's own conditions that no slot meets; amounts are told by `_too_much`."""
    for condition in conditions(str(job.lookup("Requirements"))):
        if "MY.Request" in condition or " Request" in condition:
            continue
        if not any(_holds(job, condition, slot) for slot in slots):
            yield _PLAIN.get(condition) or f"no slot meets {condition[:_LENGTH]}"


def conditions(requirements: str) -> list[str]:
    """Return the terms of a conjunction, without outer parentheses."""
    text = requirements.strip()
    while text.startswith("(") and next(at for at, depth in _outside_strings(text) if depth == 0) == len(text) - 1:
        text = text[1:-1].strip()
    operators = [(text[at : at + 2], at) for at, depth in _outside_strings(text) if depth == 0]
    cuts = [at for operator, at in operators if operator == "&&"]
    if not cuts or any(operator == "||" for operator, _ in operators):
        return [text]
    terms = [text[start:end] for start, end in zip([0, *(at + 2 for at in cuts)], [*cuts, len(text)], strict=True)]
    return [part for term in terms for part in conditions(term)]


def _outside_strings(text: str) -> Iterator[tuple[int, int]]:
    """Yield the place of each character outside of strings and the depth of the brackets after it."""
    depth, quoted, escaped = 0, False, False
    for at, character in enumerate(text):
        if character == '"' and not escaped:
            quoted = not quoted
        escaped = character == "\\" and not escaped
        if not quoted:
            depth += (character in "([{") - (character in ")]}")
            yield at, depth


def _holds(job: Any, condition: str, slot: Any) -> bool:
    import classad2

    return classad2.ExprTree(condition).eval(job, slot) is True


def _evaluates(job: Any, name: str, slot: Any) -> bool:
    return job.lookup(name).eval(job, slot) is True


def _number(ad: Any, name: str) -> float:
    value = ad.eval(name) if ad.get(name) is not None else 0
    return float(value) if isinstance(value, int | float) else 0.0
