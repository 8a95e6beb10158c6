"""Which store a command uses: looking makes none, what is not found names it, and nobody else reads it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dynamo.cli.fleet.main import register_all as provision
from dynamo.cli.main import register_all as dynamo
from dynamo.engines.base import RunFolder
from dynamo.errors import NotFoundError
from dynamo.files import private_folder, public_mode, write_bytes
from dynamo.runs.folder import claimed
from dynamo.store.engine import open_store
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.model import Job, Plan, Resources


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder outside any project, and a user's state that is empty."""
    monkeypatch.delenv("DYNAMO_CONFIG", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "dynamo runs list",
        "dynamo runs show ab12",
        "dynamo runs logs ab12",
        "dynamo runs cancel ab12",
        "dynamo runs retry ab12",
        "dynamo store status",
        "dynamo store arrivals",
        "dynamo store decisions",
        "dynamo alerts list",
        "dynamo autoscale decisions",
        "dynamo runs priority ab12 5",
        "provision status",
        "provision events",
        "provision cost",
        "provision scale Local:here 3",
        "provision reconcile",
        "provision token list",
    ],
)
def test_looking_makes_no_store_and_says_where_it_looked(words: str, tmp_path: Path) -> None:
    program, *arguments = words.split()
    result = CliRunner().invoke(provision() if program == "provision" else dynamo(), arguments)
    assert isinstance(result.exception, NotFoundError), (result.output, result.exception)
    assert str(tmp_path / "home" / "dynamo" / "store.sqlite") in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    assert not any((tmp_path / "elsewhere").iterdir())


def test_a_run_that_is_not_there_names_the_store(tmp_path: Path) -> None:
    file = tmp_path / "home" / "dynamo" / "store.sqlite"
    open_store(file).close()
    for action in ("show", "logs", "cancel", "retry"):
        result = CliRunner().invoke(dynamo(), ["runs", action, "ab12"])
        assert isinstance(result.exception, NotFoundError)
        assert f"sqlite:///{file}: no run 'ab12'" in str(result.exception)


@pytest.mark.usefixtures("migrating")
def test_state_is_for_its_owner_only(tmp_path: Path) -> None:
    open_store(tmp_path / "a" / "b" / "store.sqlite").close()
    with claimed(tmp_path / "a" / "runs" / "1"):
        pass
    job = Job("j", "split", {"nowcast": ("in.nc",)}, {"leads": ("out.nc",)}, {}, Resources(), 0)
    plan = Plan("w", "1", (job,), {"in.nc": tmp_path / "in.nc"}, ("out.nc",))
    RunFolder(tmp_path / "a" / "runs" / "1").prepare(
        plan, choose_layout(plan, slots=1, job_overhead_s=1.0, single_threshold_s=0.0)
    )
    found = [path for path in (tmp_path / "a").rglob("*") if not path.is_symlink()]
    assert {"store.sqlite", "store.sqlite.lock", "1", "lock", "plan.json", "layout.json"} <= {
        path.name for path in found
    }
    for path in (tmp_path / "a", *found):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_folders_that_are_there_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    private_folder(tmp_path / "shared" / "mine")
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "shared" / "mine").stat().st_mode) == 0o700


def test_a_file_for_others_has_the_mode_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    assert stat.S_IMODE((tmp_path / "any").stat().st_mode) == public_mode()
    write_bytes(tmp_path / "private", b"x", private=True)
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
