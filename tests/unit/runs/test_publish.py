from __future__ import annotations

import hashlib
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from dynamo.cli.keeping.products import repair
from dynamo.config.file import find_config
from dynamo.errors import InputError, NotFoundError, RunFailedError
from dynamo.runs.ledger import decisions_about
from dynamo.runs.publish import (
    LatestLink,
    Publication,
    describe,
    export,
    is_whole,
    publish,
    read_publication,
    repair_latest,
)
from dynamo.runs.service import lost_products, products_state
from dynamo.store.engine import open_store
from dynamo.store.models import Run
from dynamo.times import utc_now

TIME = datetime(2026, 5, 20, 18, 5, tzinfo=UTC)
NAMES = ("mrt_STORM_CASA_12_20260520-180500.geojson", "sub/PredictedReflectivity_3min_20260520-180500.png", "notes.txt")
KEY = "ab" * 32


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    return folder


def put(
    work: Path, root: Path, *, key: str = KEY, time: datetime = TIME, names: tuple[str, ...] = NAMES
) -> Publication:
    return publish(
        work, names, root=root, workflow="nowcast", key=key, valid_at=time, facts={"run": key[:12]}, fsync=True
    )


def test_products_that_were_edited_are_changed_not_gone(work: Path, tmp_path: Path) -> None:
    published = put(work, tmp_path / "products")
    run = Run(id=KEY[:12], key=KEY, state="succeeded", product_dir=str(published.folder))
    assert (products_state(run), lost_products(run)) == ("whole", "")
    edited, index = published.folder / NAMES[0], published.folder / "index.json"
    edited.chmod(0o600)
    edited.write_text("edited")
    assert lost_products(run) == f"changed: dynamo runs retry {run.id} makes them again"
    edited.unlink()
    assert lost_products(run).startswith("gone: dynamo runs retry")
    index.chmod(0o600)
    index.write_text("{")
    assert lost_products(run).startswith(f"changed: {index}: not an index")
    assert lost_products(run).endswith("(move the folder away)")
    shutil.rmtree(published.folder)
    assert products_state(run) == "gone"
    run.state = "failed"
    assert lost_products(run) == ""


def test_products_and_index_appear_together_under_time_and_key(work: Path, tmp_path: Path) -> None:
    published = put(work, tmp_path / "products")
    assert published.folder == tmp_path / "products/nowcast/20260520/180500-abababababab"
    index = orjson.loads((published.folder / "index.json").read_bytes())
    assert index["run"] == "abababababab"
    assert index["key"] == KEY
    assert [item["name"] for item in index["products"]] == list(NAMES)
    for item in index["products"]:
        content = (published.folder / item["name"]).read_bytes()
        assert item["sha256"] == hashlib.sha256(content).hexdigest()
        assert item["bytes"] == len(content)
    assert [item.get("lead_min") for item in index["products"]] == [12, 3, None]
    assert index["products"][0]["valid_at"] == "2026-05-20T18:17:00Z"
    assert not list((tmp_path / "products/nowcast/.staging").iterdir())


def test_products_can_be_read_by_others_as_the_umask_says(work: Path, tmp_path: Path) -> None:
    # What a job writes is for its owner only.
    for name in NAMES:
        (work / name).chmod(0o600)
    (tmp_path / "any").touch()
    published = put(work, tmp_path / "products")
    modes = {path.stat().st_mode for path in published.folder.rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "any").stat().st_mode & ~0o222}


def test_a_run_whose_products_were_all_skipped_is_published_by_its_index(work: Path, tmp_path: Path) -> None:
    published = put(work, tmp_path / "products", names=())
    again = put(work, tmp_path / "products", names=())
    assert (published.found, again.found, is_whole(again)) == (False, True, True)
    assert (tmp_path / "products/nowcast/latest/index.json").is_file()
    assert published.index["products"] == []


def test_a_second_time_is_recognised_and_changes_nothing(work: Path, tmp_path: Path) -> None:
    first = put(work, tmp_path)
    before = (first.folder / "index.json").stat().st_mtime_ns
    (work / NAMES[0]).unlink()
    again = put(work, tmp_path)
    assert again.found
    assert [item.lfn for item in again.products] == list(NAMES)
    assert (first.folder / "index.json").stat().st_mtime_ns == before


def test_published_files_are_read_only_and_stay_so(work: Path, tmp_path: Path) -> None:
    published = put(work, tmp_path / "products")
    for name in (*NAMES, "index.json"):
        assert stat.S_IMODE((published.folder / name).stat().st_mode) & 0o222 == 0, name
    export(published, tmp_path / "products" / "nowcast" / "latest")
    assert (published.folder / NAMES[0]).stat().st_mode & 0o222 == 0


def test_a_product_that_is_an_input_leaves_the_file_of_its_owner_alone(work: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (work / "input.txt").symlink_to(mine)
    published = put(work, tmp_path / "products", names=("input.txt",))
    assert mine.stat().st_mode & 0o200
    assert mine.stat().st_ino != (published.folder / "input.txt").stat().st_ino


@pytest.mark.parametrize("lost", [NAMES[:1], NAMES, (*NAMES, "index.json")], ids=["one", "all", "all-and-the-index"])
def test_what_somebody_removed_is_published_again(work: Path, tmp_path: Path, lost: tuple[str, ...]) -> None:
    first = put(work, tmp_path)
    before = {name: (first.folder / name).read_bytes() for name in NAMES}
    for name in lost:
        (first.folder / name).unlink()
    assert not is_whole(first)
    again = put(work, tmp_path)
    assert not again.found
    assert is_whole(again)
    assert again.products == first.products
    assert {name: (again.folder / name).read_bytes() for name in NAMES} == before
    assert not list((tmp_path / "nowcast" / ".staging").iterdir())


def test_what_a_killed_publication_left_is_done_anew(work: Path, tmp_path: Path) -> None:
    leftover = tmp_path / "nowcast" / ".staging" / KEY
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("a product")
    published = put(work, tmp_path)
    assert not (published.folder / "half").exists()


def test_a_missing_product_publishes_nothing(work: Path, tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match="gone"):
        put(work, tmp_path, names=(*NAMES, "gone.png"))
    assert not (tmp_path / "nowcast" / "20260520").exists()
    assert not (tmp_path / "nowcast" / "latest").exists()


def test_a_folder_that_somebody_else_made_is_left_alone(work: Path, tmp_path: Path) -> None:
    target = tmp_path / "nowcast" / "20260520" / "180500-abababababab"
    target.mkdir(parents=True)
    (target / "mine").write_text("x")
    with pytest.raises(InputError, match="not published by DyNamo"):
        put(work, tmp_path)
    (target / "index.json").write_text("{}")
    with pytest.raises(InputError, match="index"):
        put(work, tmp_path)
    assert (target / "mine").read_text() == "x"


def test_latest_only_goes_forward(work: Path, tmp_path: Path) -> None:
    latest = tmp_path / "nowcast" / "latest"
    for minute, expected in ((0, 0), (2, 2), (1, 2), (3, 3)):
        put(work, tmp_path, key=f"{minute:02}" * 32, time=TIME + timedelta(minutes=minute))
        index = orjson.loads((latest / "index.json").read_bytes())
        assert index["key"] == f"{expected:02}" * 32


def test_export_puts_everything_elsewhere_and_may_be_repeated(work: Path, tmp_path: Path) -> None:
    published = put(work, tmp_path / "products")
    for _ in range(2):
        export(published, tmp_path / "out" / "deep")
    found = read_publication(tmp_path / "out" / "deep", KEY)
    assert found is not None
    assert found.products == published.products
    # What was handed out is the user's: to edit it changes no publication, not even where an old version had linked it.
    out = tmp_path / "out" / "deep" / NAMES[0]
    out.unlink()
    out.hardlink_to(published.folder / NAMES[0])
    export(published, tmp_path / "out" / "deep")
    with out.open("a") as stream:
        stream.write("edited")
    assert is_whole(published)
    assert out.stat().st_mode & 0o200
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="not a folder"):
        export(published, tmp_path / "file")


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        ("mrt_STORM_CASA_0_20260520-180500.geojson", 0),
        ("PredictedReflectivity_30min_20260520-180500.nc", 30),
        ("COMPOSITE_20260520-180500.nc", None),
    ],
)
def test_the_lead_is_in_the_name(name: str, lead: int | None) -> None:
    assert describe(name, TIME) == (lead, None if lead is None else TIME + timedelta(minutes=lead))


def test_an_export_into_the_same_folder_again_leaves_nothing_behind(work: Path, tmp_path: Path) -> None:
    publication = put(work, tmp_path / "products")
    out = tmp_path / "out"
    for _ in range(2):
        export(publication, out)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {*NAMES, "index.json"}


def test_latest_never_points_to_data_of_a_clock_that_is_ahead(work: Path, tmp_path: Path) -> None:
    good = put(work, tmp_path)
    put(work, tmp_path, key="cd" * 32, time=utc_now() + timedelta(days=1200))
    assert (tmp_path / "nowcast/latest").resolve() == good.folder
    # Five minutes are no reason to keep somebody waiting.
    soon = put(work, tmp_path, key="ef" * 32, time=utc_now() + timedelta(minutes=4))
    assert (tmp_path / "nowcast/latest").resolve() == soon.folder


def test_latest_leaves_what_an_older_version_let_pass(work: Path, tmp_path: Path) -> None:
    far = put(work, tmp_path, key="cd" * 32, time=utc_now() + timedelta(days=1200))
    link = tmp_path / "nowcast/latest"
    assert not link.is_symlink()
    link.symlink_to(far.folder.relative_to(link.parent))
    good = put(work, tmp_path)
    assert link.resolve() == good.folder


def test_repair_finds_the_newest_that_is_whole_and_not_ahead(work: Path, tmp_path: Path) -> None:
    base, link = tmp_path / "nowcast", tmp_path / "nowcast/latest"
    good = put(work, tmp_path)
    torn = put(work, tmp_path, key="ef" * 32, time=TIME + timedelta(minutes=1))
    far = put(work, tmp_path, key="cd" * 32, time=utc_now() + timedelta(days=1200))
    (torn.folder / NAMES[0]).unlink()
    (base / "20260521/notes").mkdir(parents=True)
    fresh = far.folder.relative_to(base).as_posix()
    link.unlink()
    link.symlink_to(fresh)
    right = good.folder.relative_to(base).as_posix()
    assert repair_latest(base, dry=True) == LatestLink(fresh, right)
    assert link.readlink().as_posix() == fresh
    assert repair_latest(base) == LatestLink(fresh, right)
    assert link.resolve() == good.folder
    assert repair_latest(base) == LatestLink(right, right)
    shutil.rmtree(good.folder)
    assert repair_latest(base) == LatestLink(right, "")
    assert not link.is_symlink()


def test_the_command_repairs_all_workflows_and_stores_it(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dynamo.toml").write_text("")
    products = find_config(None).products_dir
    good, link = put(work, products), products / "nowcast/latest"
    link.unlink()
    link.symlink_to("20300101/000000-abababababab")
    repair([], dry=False, config=None, as_json=True)
    right = good.folder.relative_to(link.parent).as_posix()
    before = "20300101/000000-abababababab"
    assert orjson.loads(capsys.readouterr().out) == [{"workflow": "nowcast", "before": before, "after": right}]
    assert link.resolve() == good.folder
    store = open_store(find_config(None).store_url)
    with store.reading() as session:
        (decision,) = decisions_about(session, "latest nowcast")
    store.close()
    assert (decision.action, decision.reason) == ("repair", f"from {before} to {right}")
    repair(["nowcast"], dry=False, config=None, as_json=False)
    assert "latest is right" in capsys.readouterr().out
    with pytest.raises(NotFoundError):
        repair(["rain"], dry=False, config=None, as_json=False)
