"""Damaged files of all formats: no traceback, and nothing impossible in what would be published.

``DYNAMO_DAMAGED_FILES=5000`` damages so many; real files take part where there is a data folder.
"""

from __future__ import annotations

import bz2
import gzip
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo.formats.radar.nexrad_records import VOLUME_HEADER_BYTES, unpack_records
from dynamo.modules.execute import execute
from dynamo.modules.registry import find_module
from dynamo.processes import HelperEndedError, HelperLateError, HelperProcess
from dynamo.simulate.composites import CompositeName
from dynamo.simulate.formats.radar import FormatName
from tests.integration.watch.watch_support import write_small
from tests.property.damage import Original, Outcome, serve, take
from tests.simulated import composite_files, radar_files, sounding_file
from tests.waiting import PATIENCE

#: Every file is damaged, then read in a process of its own.
pytestmark = pytest.mark.slow

COUNT = int(os.environ.get("DYNAMO_DAMAGED_FILES", "300"))
#: For one file, on any machine.
_LIMIT_S = 60.0 * PATIENCE
#: Real files, by chain.
REAL = {
    "radar": (
        "radar/nexrad/KTLX20140101_000624.bin",
        "radar/monte_lema_cband/MLL2217907250U.015.nc",
        "radar/terrey_hills_sband/terrey_08.h5",
        "radar/boxpol_xband/2014-11-16--03_45_00,00.mvol",
        "casa/addison.tx-20170329-071008.netcdf.gz",
    ),
    "sounding": ("soundings/may4_sounding.txt",),
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Original]:
    folder = tmp_path_factory.mktemp("originals")
    formats: tuple[FormatName, ...] = ("casa", "nexrad", "odim", "cfradial", "gamic")
    services: tuple[CompositeName, ...] = ("mrms", "meteoswiss", "bom")
    found: dict[str, Original] = {}
    for name in formats:
        found[name] = Original("radar", radar_files(folder, name)[0])
    # Compression hides damage to values from their readers.
    plain = folder / "plain.netcdf"
    plain.write_bytes(gzip.decompress(found["casa"].path.read_bytes()))
    volume = found["nexrad"].path.read_bytes()
    unpacked = folder / "unpacked.bin"
    unpacked.write_bytes(volume[:VOLUME_HEADER_BYTES] + b"".join(unpack_records(volume).blocks))
    packed = folder / "packed.netcdf.bz2"
    packed.write_bytes(bz2.compress(plain.read_bytes()))
    found |= {path.name: Original("radar", path) for path in (plain, unpacked, packed)}
    for service in services:
        found[service] = Original("composite", composite_files(folder, service, 1)[0])
    found["nowcast"] = Original("nowcast", write_small(folder, 3, leads=3))
    found["sounding"] = Original("sounding", sounding_file(folder))
    product, grid = folder / "hail.nc", folder / "grid.nc"
    execute(find_module("hail"), {"radar": [found["odim"].path]}, {"hail": [product]}, {})
    execute(find_module("grid"), {"product": [product]}, {"grid": [grid]}, {"spacing": 0.02, "max_range": 60.0})
    return found | {"radar-product": Original("radar-product", product), "hail-grid": Original("hail-grid", grid)}


@pytest.fixture(scope="module")
def helper() -> Iterator[HelperProcess]:
    started = HelperProcess(serve)
    yield started
    started.stop()


def harm(originals: dict[str, Original], helper: HelperProcess, folder: Path, count: int) -> Counter[str]:
    """Damage ``count`` files, the same ones each time; return how they fared, and fail with all that is wrong."""
    fared: Counter[str] = Counter()
    wrong: list[str] = []
    names = sorted(originals)
    for number in range(count):
        name = names[number % len(names)]
        seed = f"{name} {number}"
        try:
            outcome = helper.ask((originals[name], seed, folder / "work"), _LIMIT_S)
        except HelperEndedError as error:
            # The library crashed: inspection and jobs run in processes of their own for that.
            fared[f"{name} crashed ({error.exit_status})"] += 1
            continue
        except HelperLateError:
            wrong.append(f"{seed}: hangs")
            continue
        fared[f"{originals[name].chain} {outcome.word}"] += 1
        wrong += [f"{seed}: {problem}" for problem in outcome.problems]
    assert not wrong, f"{len(wrong)} of {count}: " + "\n".join(wrong[:20])
    return fared


def test_good_files_are_published(originals: dict[str, Original], tmp_path: Path) -> None:
    for original in originals.values():
        folder = tmp_path / original.path.name
        folder.mkdir()
        assert take(original, original.path, folder) == Outcome("published")


def test_damage_is_refused_or_leaves_possible_weather(
    originals: dict[str, Original], helper: HelperProcess, tmp_path: Path
) -> None:
    fared = harm(originals, helper, tmp_path, COUNT)
    # Of each chain some damage is refused and some is harmless, or this test looks at nothing.
    chains = {original.chain for original in originals.values()} - {"sounding"}
    assert {f"{chain} {word}" for chain in chains for word in ("refused", "published")} <= set(fared)


def test_damage_to_real_files(data_dir: Path, helper: HelperProcess, tmp_path: Path) -> None:
    real = {path: Original(chain, data_dir / path) for chain, paths in REAL.items() for path in paths}
    harm(real, helper, tmp_path, max(12, COUNT // 10))
