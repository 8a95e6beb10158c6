"""The same numbers as csu_radartools and pyhail called directly on whole sweeps and volumes, real and simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

from dynamo.formats.radar.model import Volume
from dynamo.formats.radar.read import read_volume
from dynamo.formats.sounding import parse_sounding
from dynamo.processing.hail import MOMENTS, classes_product, fields, gate_heights_m, polar_sweep
from dynamo.radar.hail.hsda import hsda_class
from dynamo.radar.hail.hydroclass import classify
from dynamo.radar.hail.levels import Temperatures
from dynamo.radar.hail.mesh import MESH_METHODS, PolarSweep, columns, elevations, matching_rays
from dynamo.simulate.formats.radar import FormatName
from dynamo.simulate.formats.sounding import encode
from tests.needs import peer
from tests.simulated import START, radar_files

# Of numba, over the lists that pyhail gives it.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

#: Reading is the slow part.
_CASES = {
    "KFWS": "nexrad/KFWS20190609_222523.bin",
    "KLBB": "nexrad/KLBB20160601_150025_V06",
    "terrey": "terrey_hills_sband/terrey_08.h5",
    "lema": "monte_lema_cband",
    "boxpol": "boxpol_xband",
}


_SIMULATED: dict[str, FormatName] = {"simulated S": "nexrad", "simulated C": "cfradial", "simulated X": "gamic"}


@pytest.fixture(scope="module")
def temperatures() -> Temperatures:
    profile = parse_sounding(encode(time=START, zero_c_m=4811.0, minus_20_c_m=7596.0))
    return Temperatures(profile.height_msl_m, profile.temperature_c, 4811.0, 7596.0, "test")


class Volumes:
    """The volumes by case, read as they are asked for; only real ones need the folder of real data."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self._read: dict[str, Volume] = {}

    def __getitem__(self, case: str) -> Volume:
        if case not in self._read:
            paths = self._simulated(case) if case in _SIMULATED else self._real(case)
            self._read[case] = read_volume(paths, moments=MOMENTS)
        return self._read[case]

    def _real(self, case: str) -> list[Path]:
        data_dir: Path = self._request.getfixturevalue("data_dir")
        path = data_dir / "radar" / _CASES[case]
        return sorted(path.iterdir()) if path.is_dir() else [path]

    def _simulated(self, case: str) -> list[Path]:
        file_format = _SIMULATED[case]
        options = {} if file_format == "nexrad" else {"volumes": True}
        return radar_files(self._folder, file_format, "wide", sweeps_per_minute=8, **options)


@pytest.fixture(scope="module")
def volumes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Volumes:
    return Volumes(request, tmp_path_factory.mktemp("volumes"))


def _csu(sweep: xr.Dataset, temperature: Any, *, kdp: bool) -> Any:
    moments = fields(sweep)
    return peer("csu_radartools.csu_fhc").csu_fhc_summer(
        dz=moments["DBZH"],
        zdr=moments["ZDR"],
        rho=moments["RHOHV"],
        kdp=moments["KDP"] if kdp else None,
        T=np.broadcast_to(temperature, moments["DBZH"].shape),
        band=sweep.attrs["band"],
        use_temp=True,
    )


@pytest.mark.parametrize("case", sorted(_CASES) + sorted(_SIMULATED))
def test_classes_are_those_of_csu_radartools(case: str, volumes: Volumes, temperatures: Temperatures) -> None:
    compared = 0
    for sweep in volumes[case].polarimetric():
        moments = fields(sweep)
        temperature = temperatures.at(gate_heights_m(sweep))
        index = np.flatnonzero(~np.isnan(moments["DBZH"].ravel()))
        kdp = moments["KDP"].ravel()[index] if "KDP" in moments else None
        found = classify(
            moments["DBZH"].ravel()[index],
            moments["ZDR"].ravel()[index],
            moments["RHOHV"].ravel()[index],
            temperature[index % temperature.size],
            band=sweep.attrs["band"],
            kdp=kdp,
        )
        expected = _csu(sweep, temperature, kdp=False).ravel()[index]
        if kdp is not None:
            with_kdp = _csu(sweep, temperature, kdp=True).ravel()[index]
            expected = np.where(np.isnan(kdp), expected, with_kdp)
        both = found > 0
        assert np.array_equal(found[both], expected[both])
        compared += int(both.sum())
    assert compared > 10_000


@pytest.mark.parametrize("case", ["KLBB", "simulated S"])
def test_the_product_has_the_classes_of_csu_radartools(case: str, volumes: Volumes, temperatures: Temperatures) -> None:
    volume = volumes[case]
    product = classes_product(volume, temperatures)
    for sweep, part in zip(volume.polarimetric(), product.sweeps, strict=True):
        expected = _csu(sweep, temperatures.at(gate_heights_m(sweep)), kdp=False).ravel()[part.index]
        assert np.array_equal(part.values["hydrometeor_class"], expected)


@pytest.mark.parametrize("case", ["KFWS", "KLBB", "terrey", "simulated S"])
def test_sizes_are_those_of_pyhail(case: str, volumes: Volumes) -> None:
    for sweep in volumes[case].polarimetric():
        moments = fields(sweep)
        # Every strong gate, so that all layers and sizes come up.
        marks = (moments["DBZH"] >= 45).astype(np.int64)
        heights = gate_heights_m(sweep)
        expected = peer("pyhail.hsda").main(
            moments["DBZH"],
            moments["ZDR"],
            moments["RHOHV"],
            marks,
            np.broadcast_to(heights, marks.shape),
            [4811.0, 8300.0],
            [1],
        )["data"]
        index = np.flatnonzero(marks)
        found = hsda_class(
            moments["DBZH"],
            moments["ZDR"],
            moments["RHOHV"],
            index,
            heights,
            melting_level_m=4811.0,
            minus25_level_m=8300.0,
        )
        assert np.array_equal(found, np.nan_to_num(expected.ravel()[index]))


@pytest.mark.parametrize(
    ("case", "method"),
    [(case, method) for case in ("lema", "simulated C") for method in MESH_METHODS] + [("KLBB", "blend")],
)
def test_columns_are_those_of_pyhail(case: str, method: str, volumes: Volumes) -> None:
    volume = volumes[case]
    sweeps = [polar_sweep(sweep) for sweep in volume.sweeps]
    found = columns(
        sweeps,
        altitude_m=volume.site.altitude_m,
        melting_level_m=3900.0,
        minus20_level_m=6700.0,
        band=volume.site.band,
        method=method,
    )
    order = elevations(sweeps)
    base = sweeps[order[0]]
    # pyhail pairs rays by number: give it the rays of the lowest sweep's azimuths.
    aligned = [_aligned(sweeps[number], base) for number in order]
    expected = peer("pyhail.mesh_ppi").main(
        aligned,
        [sweeps[number].elevation_deg for number in order],
        [base.azimuth_deg] * len(order),
        [sweeps[number].range_m for number in order],
        volume.site.altitude_m,
        [3900.0, 6700.0],
        radar_band=volume.site.band,
        mesh_method=method,
    )[1:]
    assert found.shi.max() > 5
    for values, other in zip((found.shi, found.mesh, found.posh), expected, strict=True):
        full = np.zeros(base.dbz.shape)
        full.ravel()[found.index] = values
        known = ~np.isnan(other["data"])
        # pyhail keeps single precision in the correction at C band.
        assert np.allclose(full[known], other["data"][known], rtol=2e-5, atol=1e-3)
        assert not full[~known].any()


def _aligned(sweep: PolarSweep, base: PolarSweep) -> Any:
    rays = matching_rays(base.azimuth_deg, sweep.azimuth_deg)
    field = sweep.dbz[rays].copy()
    field[rays < 0] = np.nan
    return field
