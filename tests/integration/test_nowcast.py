"""`dynamo nowcast`: skill on real and simulated composites, and what the command says; broken input is simulated."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from dynamo.errors import InputError
from dynamo.formats.composites import BBox, read_composite
from dynamo.formats.nowcast import read_header, read_nowcast
from dynamo.processing.nowcast import Method, make_nowcast
from dynamo.radar.skill import contingency
from dynamo.radar.zr import NO_ECHO_DBZ, WSR88D_CONVECTIVE, ZRelation
from dynamo.simulate.composites import FORMATS, CompositeName
from tests.simulated import START, composite_files

#: Central Texas, where the storms of the MRMS case are.
AUSTIN: BBox = (29.5, -100.5, 31.5, -96.5)
CLI = "from dynamo.cli import nowcast; from dynamo.cli.main import app, run; nowcast.register(app); run(app)"


@pytest.fixture(scope="module")
def mrms(data_dir: Path) -> list[Path]:
    return sorted((data_dir / "composites" / "mrms_20190610").glob("*.grib2"))


@pytest.fixture(scope="module")
def swiss(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return composite_files(tmp_path_factory.mktemp("swiss"), "meteoswiss", 13)


@pytest.fixture(scope="module")
def bom(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return composite_files(tmp_path_factory.mktemp("bom"), "bom", 4)


def command(*arguments: object, cwd: Path, without: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in its own process, as if the library ``without`` were not installed."""
    root = str(Path(__file__).resolve().parents[2])
    absent = f"sys.modules[{without!r}] = None; " if without else ""
    code = f"import sys; sys.path.insert(0, {root!r}); {absent}{CLI}"
    return subprocess.run(
        [sys.executable, "-c", code, "nowcast", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=300,
    )


def test_mrms_nowcast(mrms: list[Path], tmp_path: Path) -> None:
    stages: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        stages[stage] = (done, total)

    out = tmp_path / "nowcast.nc"
    # Unsorted on purpose: the order on the command line is not that of time.
    made = make_nowcast([mrms[5], mrms[1], mrms[3]], out, leads=20, bbox=AUSTIN, progress=progress)
    header, stack = read_nowcast(out)
    assert header == read_header(out)
    assert header.issue_time == datetime(2019, 6, 10, 0, 10, tzinfo=UTC) == made.issue_time
    assert (header.leads, header.grid) == (21, made.grid)
    assert header.grid.shape == (200, 400)
    assert stages == {"reading frames": (3, 3), "motion": (1, 1), "leads": (21, 21)}
    observed = WSR88D_CONVECTIVE.dbz(read_composite(mrms[5], AUSTIN).rain_rate)
    np.testing.assert_array_equal(stack[0], observed)
    assert (stack[0] == NO_ECHO_DBZ).any()
    # The margin around the box is read too, so nothing is missing in the box, at any lead.
    assert np.isfinite(stack).all()
    assert made.vectors > 20
    assert 15 < made.speed_km_h < 60
    truth = WSR88D_CONVECTIVE.dbz(read_composite(mrms[15], AUSTIN).rain_rate)
    for threshold in (30.0, 40.0):
        moved, still = (contingency(field, truth, threshold).csi for field in (stack[20], stack[0]))
        assert moved > 1.3 * still


def test_meteoswiss_half_an_hour_beats_persistence(data_dir: Path, tmp_path: Path) -> None:
    swiss = sorted((data_dir / "composites" / "meteoswiss_20160711").glob("*.gif"))
    fields = {}
    methods: tuple[Method, ...] = ("lk", "persistence")
    for method in methods:
        out = tmp_path / f"{method}.nc"
        make_nowcast(swiss[9:13], out, leads=30, method=method)
        fields[method] = read_nowcast(out)[1][30]
    composite = read_composite(swiss[18])
    truth = composite.relation.dbz(composite.rain_rate)
    assert contingency(fields["lk"], truth, 30.0).csi > 0.35
    assert contingency(fields["persistence"], truth, 30.0).csi < 0.25
    # No data outside of coverage, at any lead.
    assert np.isnan(fields["lk"][0, 0])


def test_bom_weak_rain(data_dir: Path, tmp_path: Path) -> None:
    bom = sorted((data_dir / "composites" / "bom_melbourne_20180616").glob("*.nc"))
    out = tmp_path / "out.nc"
    made = make_nowcast(bom[:3], out, leads=5, relation=ZRelation(200.0, 1.6), compress=True)
    header, stack = read_nowcast(out)
    assert header.leads == 6
    assert made.relation == ZRelation(200.0, 1.6)
    assert 20.0 < np.nanmax(stack) < 50.0


@pytest.mark.parametrize("service", sorted(FORMATS))
def test_a_nowcast_of_simulated_storms_beats_persistence(service: CompositeName, tmp_path: Path) -> None:
    paths, every = composite_files(tmp_path, service, 5), FORMATS[service].every_min
    grid = read_composite(paths[0]).grid
    latitude, longitude = (float(nodes.mean()) for nodes in (grid.latitudes, grid.longitudes))
    box = (latitude - 0.6, longitude - 0.8, latitude + 0.6, longitude + 0.8)
    out = tmp_path / "nowcast.nc"
    lead = 2 * every
    made = make_nowcast(paths[:3], out, leads=lead, bbox=box)
    assert made.issue_time == START + timedelta(minutes=2 * every)
    stack = read_nowcast(out)[1]
    later = read_composite(paths[4], box)
    truth = later.relation.dbz(later.rain_rate)
    moved, still = (contingency(field, truth, 35.0).csi for field in (stack[lead], stack[0]))
    assert moved > still + 0.1
    # 0.6 km a minute, and cells have a motion of their own.
    assert 25 < made.speed_km_h < 50


def test_command_prints_clean_json(bom: list[Path], tmp_path: Path) -> None:
    done = command(*bom[:4], "-o", "out.nc", "--leads", 3, "--zr", "200,1.6", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["grids"] == 4
    assert summary["frames"] == [f"2019-06-10T00:{minute:02}:00Z" for minute in (26, 32, 38)]
    assert summary["zr"] == {"a": 200.0, "b": 1.6}
    assert read_header(tmp_path / "out.nc").leads == 4
    assert "steps configuration" not in done.stderr
    assert "Warning" not in done.stderr


def test_command_names_what_is_wrong_in_one_line(bom: list[Path], tmp_path: Path) -> None:
    done = command(bom[0], bom[1], bom[3], "-o", "out.nc", cwd=tmp_path)
    assert done.returncode == 3
    lines = [line for line in done.stderr.splitlines() if line.strip() and "error:" in line]
    assert len(lines) == 1
    assert "is 0:12:00 after" in lines[0] or "even intervals" in lines[0]
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["1,2,3", "a,b,c,d"])
def test_command_refuses_boxes_it_cannot_read(bom: list[Path], tmp_path: Path, value: str) -> None:
    done = command(*bom[:2], "-o", "out.nc", "--bbox", value, cwd=tmp_path)
    assert done.returncode == 2
    assert "south,west,north,east" in done.stderr


@pytest.mark.parametrize("library", ["cv2", "pyproj"])
def test_a_missing_library_is_named_with_the_remedy(bom: list[Path], tmp_path: Path, library: str) -> None:
    done = command(*bom[:2], "-o", "out.nc", cwd=tmp_path, without=library)
    assert done.returncode == 5
    assert library in done.stderr
    assert "pip install 'dynamo-radar[nowcast]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_too_few(bom: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 composite; expected at least two"):
        make_nowcast(bom[:1], tmp_path / "out.nc")


def test_the_same_time_twice(bom: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one composite per time"):
        make_nowcast([bom[0], bom[1], bom[1]], tmp_path / "out.nc")


def test_a_gap(swiss: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="even intervals"):
        make_nowcast([*swiss[:3], swiss[5]], tmp_path / "out.nc")
    with pytest.raises(InputError, match="at most 0:20:00"):
        make_nowcast([swiss[0], swiss[12]], tmp_path / "out.nc")


def test_a_corrupt_frame_leaves_nothing_behind(swiss: list[Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.gif"
    cut.write_bytes(swiss[3].read_bytes()[:5000])
    out = tmp_path / "out.nc"
    with pytest.raises(InputError, match=r"cut\.gif"):
        make_nowcast([*swiss[:3], cut], out)
    assert not out.exists()


def test_a_box_without_data(swiss: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data in the area"):
        make_nowcast(swiss[:2], tmp_path / "out.nc", bbox=(43.6, 2.8, 43.7, 2.95), leads=1)


@pytest.mark.parametrize("leads", [0, 181])
def test_leads_out_of_range(bom: list[Path], tmp_path: Path, leads: int) -> None:
    with pytest.raises(InputError, match="1 to 180"):
        make_nowcast(bom[:2], tmp_path / "out.nc", leads=leads)


def test_the_output_is_a_directory(bom: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        make_nowcast(bom[:2], tmp_path)
