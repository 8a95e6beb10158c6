"""Why no slot of a pool can run a job."""

from __future__ import annotations

from typing import Any

import classad2
import pytest

from dynamo.engines.condor.matching import conditions, emptied, why_none

#: What a job requires of a slot as HTCondor's own tools write it, and a slot that has a job.
REQUIREMENTS = (
    '((TARGET.DynamoSite is "cloud")) && (TARGET.Arch == "X86_64") && (TARGET.Memory >= RequestMemory)'
    " && ((TARGET.FileSystemDomain == MY.FileSystemDomain) || (TARGET.HasFileTransfer))"
)
FITS = " && ".join(f"TARGET.Request{name} <= MY.{name}" for name in ("Cpus", "Memory", "Disk"))


def job(**values: str) -> Any:
    usual = {
        "Requirements": REQUIREMENTS,
        "RequestCpus": "1",
        "RequestMemory": "ifThenElse(MemoryUsage isnt undefined, MemoryUsage, 128)",
        "RequestDisk": "2048",
        "FileSystemDomain": '"here"',
    }
    return classad2.ClassAd("[" + "; ".join(f"{name} = {value}" for name, value in {**usual, **values}.items()) + "]")


def slot(**values: str) -> Any:
    usual = {
        "Arch": '"X86_64"',
        "Cpus": "0",
        "TotalSlotCpus": "2",
        "Memory": "100",
        "TotalSlotMemory": "4000",
        "Disk": "1024",
        "TotalSlotDisk": "9.0E6",
        "DynamoSite": '"cloud"',
        "HasFileTransfer": "true",
        "Start": "true",
        "Requirements": f"START && {FITS}",
    }
    ad = classad2.ClassAd("[" + "; ".join(f"{name} = {value}" for name, value in {**usual, **values}.items()) + "]")
    return emptied(ad)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({}, ""),
        ({"RequestMemory": "999999"}, "no slot has 999,999 MB of memory, the largest has 4,000"),
        ({"RequestDisk": "20480000"}, "no slot has 20,000 MB of disk, the largest has 8,789"),
        (
            {"RequestCpus": "8", "RequestGPUs": "1"},
            "no slot has 8 cores, the largest has 2; no slot has 1 GPUs, the largest has 0",
        ),
        (
            {"Requirements": f'{REQUIREMENTS} && TARGET.Cpus > 7 && TARGET.X =!= "a && b"'},
            "no slot meets TARGET.Cpus > 7",
        ),
        (
            {"Requirements": "TARGET.HasContainer && TARGET.HasSIF"},
            "no slot has a container runtime; no slot's container runtime takes .sif images",
        ),
    ],
)
def test_reason(wanted: dict[str, str], reason: str) -> None:
    assert why_none(job(**wanted), [slot()]) == reason


def test_one_slot_is_enough_and_a_full_one_counts() -> None:
    assert why_none(job(RequestCpus="4"), [slot(), slot(TotalSlotCpus="4")]) == ""


def test_each_condition_is_met_by_another_slot() -> None:
    slots = [slot(DynamoSite='"local"'), slot(Arch='"aarch64"')]
    assert why_none(job(), slots) == "no slot meets all of the job's requirements at once"


def test_a_pool_that_takes_no_jobs() -> None:
    assert why_none(job(), []) == "the pool has no slots"
    assert why_none(job(), [slot(Start="false")]) == "no slot that meets the job's requirements accepts it (START)"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("true", ["true"]),
        ("(a) && (b)", ["a", "b"]),
        ("a || b && c", ["a || b && c"]),
        (
            r"""((a == "x && (\" y") && (b || c)) && f(x && y, z)""",
            [r'''a == "x && (\" y"''', "b || c", "f(x && y, z)"],
        ),
    ],
)
def test_terms_of_a_conjunction(text: str, terms: list[str]) -> None:
    assert conditions(text) == terms
