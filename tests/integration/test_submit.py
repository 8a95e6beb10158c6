"""`dynamo submit` and `dynamo runs` as programs use them: real processes, the local engine."""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from dynamo.config.file import load_config
from dynamo.files import sha256_file
from dynamo.inspection.process import inspect_port
from dynamo.modules.registry import contracts
from dynamo.pool.record import PoolRecord
from dynamo.runs.folder import claimed, is_attended
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.service import has_products
from dynamo.runs.setup import make_service
from dynamo.store.engine import Store, open_store
from dynamo.store.lease import StoreLease
from dynamo.store.models import Product, Run
from dynamo.times import utc_now
from dynamo.workflows.layout import choose_layout
from dynamo.workflows.pegasus.abstract import abstract_workflow
from dynamo.workflows.workflow import plan_run, read_workflow
from tests.integration.watch.watch_support import environment, run_dynamo, write_small
from tests.waiting import wait_for

CONFIG = "[engines.local]\noptions = { workers = 1 }\n"
PARAMETERS = {"min_points": "4"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dynamo.toml").write_text(CONFIG)
    return tmp_path


def submit(root: Path, path: Path, *options: str, code: int = 0) -> dict[str, Any]:
    arguments = ("submit", "nowcast", "-i", f"nowcast={path}", "-p", "min_points=4", "--wait", "--json", *options)
    result = run_dynamo(root, *arguments)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    data: dict[str, Any] = orjson.loads(result.stdout)
    return data


def ask(root: Path, path: Path, engine: str = "local") -> Run:
    """Put a run into the store on which nobody works."""
    service = make_service(load_config(root / "dynamo.toml"))
    workflow = service.planner.load("nowcast")
    known = path.stat()
    run, new = service.create(
        RunRequest(
            workflow=workflow,
            inputs=(InputFile("nowcast", path, sha256_file(path), known.st_size, known.st_mtime_ns),),
            parameters=service.planner.parameters(workflow, PARAMETERS),
            engine=engine,
            trigger="submit",
        )
    )
    service.close()
    service.store.close()
    assert new
    return run


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Store]:
    store = open_store(root / ".dynamo" / "store.sqlite")
    yield store
    store.close()


def only_run(root: Path) -> Run:
    with opened(root) as store, store.reading() as session:
        return session.scalars(select(Run)).one()


def attended(root: Path) -> bool:
    with opened(root) as store, store.reading() as session:
        return is_attended(session, session.scalars(select(Run)).one())


def states(root: Path) -> set[str]:
    if not (root / ".dynamo" / "store.sqlite").exists():
        return set()
    with opened(root) as store, store.reading() as session:
        return set(session.scalars(select(Run.state)))


def test_a_failed_run_is_told_as_json_and_by_its_exit_code(root: Path) -> None:
    path = write_small(root, 0)
    (root / "blocked").write_text("a file where a folder should be")
    (root / "dynamo.toml").write_text(CONFIG + '[folders]\nproducts = "blocked/products"\n')
    run = submit(root, path, code=6)
    assert run["state"] == "failed"
    retried = run_dynamo(root, "runs", "retry", run["id"], "--wait", "--json")
    assert retried.returncode == 6
    assert orjson.loads(retried.stdout)["state"] == "failed"


def test_the_same_content_at_another_path_mends_a_run_whose_input_has_gone(root: Path) -> None:
    path = write_small(root, 0)
    run = ask(root, path, engine="condor")
    moved = path.rename(root / f"moved-{path.name}")
    failed = run_dynamo(root, "runs", "work", run.id)
    assert failed.returncode == 6
    assert "the input was removed after it arrived" in failed.stderr
    mended = submit(root, moved, "--engine", "local")
    assert (mended["id"], mended["new"], mended["state"], mended["engine"]) == (run.id, False, "succeeded", "local")
    assert [item["path"] for item in mended["inputs"]] == [str(moved)]
    # What stood by to take the run over was sent home.
    assert not (Path(run.run_dir) / "runner.log").read_text()
    index = orjson.loads((Path(mended["product_dir"]) / "index.json").read_bytes())
    assert [item["path"] for item in index["inputs"]] == [str(moved)]
    assert index["engine"] == "local"
    versions = contracts()
    assert index["modules"] == {name: versions[name].version for name in ("contour", "plot", "split")}


def test_products_that_somebody_removed_are_made_again(root: Path) -> None:
    path = write_small(root, 0)
    first = submit(root, path)
    with opened(root) as store, store.reading() as session:
        sums = {row.lfn: row.sha256 for row in session.scalars(select(Product))}
    assert run_dynamo(root, "runs", "retry", first["id"]).returncode == 2, "they are there"
    # What is in the run folder is the same files: they must not be published in place of the right ones.
    edited = next((root / ".dynamo" / "runs" / first["id"] / "work").glob("*.geojson"))
    edited.chmod(0o600)
    edited.write_text("edited")
    shutil.rmtree(root / "products" / "nowcast" / "20260520")
    assert "gone" in run_dynamo(root, "runs", "show", first["id"]).stdout
    again = submit(root, path, "--out", "again")
    assert (again["id"], again["state"], again["new"]) == (first["id"], "succeeded", False)
    assert {name: sha256_file(root / "again" / name) for name in sums} == sums
    assert {name: sha256_file(Path(again["product_dir"]) / name) for name in sums} == sums
    # A folder that cannot be published into is told before anything runs.
    index = Path(again["product_dir"]) / "index.json"
    index.chmod(0o600)
    index.write_text("{")
    refused = run_dynamo(root, "runs", "retry", first["id"], "--wait")
    assert refused.returncode == 3
    assert f"{index}: not an index" in refused.stderr
    shown = orjson.loads(run_dynamo(root, "runs", "show", first["id"], "--json").stdout)
    assert (shown["state"], shown["owner"]) == ("succeeded", getpass.getuser())


def test_a_run_that_another_process_holds_is_waited_for_and_exported(root: Path) -> None:
    run = ask(root, write_small(root, 0))
    with claimed(Path(run.run_dir)) as mine:
        assert mine
        worker = subprocess.Popen(
            [sys.executable, "-m", "dynamo", "runs", "work", run.id, "--out", "out"],
            cwd=root,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        time.sleep(3.0)
        assert worker.poll() is None
        # Without an export to do, the run is left to whom it belongs.
        assert run_dynamo(root, "runs", "work", run.id).returncode == 0
        assert worker.poll() is None
    assert worker.wait(300) == 0
    first = {item.name for item in (root / "out").iterdir()}
    assert "index.json" in first
    assert run_dynamo(root, "runs", "work", run.id, "--out", "out").returncode == 0
    assert {item.name for item in (root / "out").iterdir()} == first


@pytest.mark.condor
def test_a_run_that_no_slot_can_take_says_so_at_once(root: Path, condor_pool: PoolRecord) -> None:
    wanted = """[engines.condor.options]\nrequirements = 'TARGET.DynamoSite =?= "nowhere"'\n"""
    (root / "dynamo.toml").write_text(wanted)
    arguments = ("submit", "nowcast", "-i", f"nowcast={write_small(root, 0)}", "-e", "condor", "--wait")
    with (root / "told").open("wb") as told:
        waiting = subprocess.Popen(
            [sys.executable, "-m", "dynamo", *arguments], cwd=root, stdout=told, stderr=told, env=environment()
        )
    reason = 'no slot meets TARGET.DynamoSite is "nowhere"'
    wait_for(lambda: reason in (root / "told").read_text(), 60.0)
    [run] = orjson.loads(run_dynamo(root, "runs", "list", "--json").stdout)
    assert (run["state"], run["reason"]) == ("submitted", reason)
    assert reason in run_dynamo(root, "runs", "show", run["id"]).stdout
    run_dynamo(root, "runs", "cancel", run["id"])
    assert waiting.wait(300) == 6


def test_logs_of_pegasus_are_shown(root: Path) -> None:
    home = Path(ask(root, write_small(root, 0), engine="pegasus").run_dir) / "pegasus"
    for path, text in (("pegasus-plan.log", "no site named moon"), ("submit/x/run0001/job.err", "no such program")):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    [run] = orjson.loads(run_dynamo(root, "runs", "list", "--json").stdout)
    shown = run_dynamo(root, "runs", "logs", run["id"]).stdout
    assert "--- pegasus/pegasus-plan.log\nno site named moon\n" in shown
    assert "no such program" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_a_run_goes_on_when_its_submission_is_interrupted_or_killed(root: Path, number: signal.Signals) -> None:
    # Work for some seconds: the signal comes before its end.
    path = write_small(root, 0, leads=31, side=401)
    command = ("submit", "nowcast", "-i", f"nowcast={path}", "-p", "min_points=4", "--wait", "--out", "out")
    submission = subprocess.Popen(
        [sys.executable, "-m", "dynamo", *command],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    wait_for(lambda: states(root) & {"submitted", "running"}, what="the run under way")
    # As the terminal does: the signal goes to all processes of the group.
    os.killpg(submission.pid, number)
    out, told = submission.communicate(timeout=300)
    assert out == ""
    if number == signal.SIGINT:
        assert submission.returncode == 130
        run_id = only_run(root).id
        assert told == (
            f"run {run_id} goes on in the background; follow it with `dynamo runs show {run_id}`, "
            f"stop it with `dynamo runs cancel {run_id}`\n"
        )
    else:
        assert submission.returncode == -number
    wait_for(lambda: states(root) == {"succeeded"}, what="the run's end in the background")
    wait_for((root / "out" / "index.json").is_file, what="the export")


def test_a_run_whose_process_is_gone_is_shown_so_and_goes_on_by_a_retry(root: Path) -> None:
    run = ask(root, write_small(root, 0))
    Path(run.run_dir).mkdir(parents=True)
    assert attended(root), "its process has had no time to start"
    with opened(root) as store, store.transaction() as session:
        session.execute(update(Run).values(state="running", updated_at=utc_now() - timedelta(minutes=1)))
    assert not attended(root)
    with claimed(Path(run.run_dir)):
        assert attended(root)
    with opened(root) as store:
        daemon = StoreLease(store)
        daemon.take()
        assert attended(root)
        daemon.give_back()
    assert "no process works on it: dynamo runs retry continues it" in run_dynamo(root, "runs", "list").stdout
    # It was never planned, whatever its state says: what counts is that somebody takes it up.
    retried = run_dynamo(root, "runs", "retry", run.id, "--wait", "--json")
    assert orjson.loads(retried.stdout)["state"] == "failed"
    shown = orjson.loads(run_dynamo(root, "runs", "show", run.id, "--json").stdout)
    assert shown["attended"] is None
    assert [item["action"] for item in shown["decisions"]] == ["resume"]


def test_a_pegasus_workflow_with_embedded_replicas_is_submitted_as_it_is(root: Path) -> None:
    path = write_small(root, 0)
    workflow = read_workflow("nowcast", contracts())
    facts = inspect_port("casa-nowcast", [path], (45.0,))
    assert facts is not None
    plan = plan_run(workflow, {"nowcast": path}, PARAMETERS, {"nowcast": facts}, contracts())
    layout = choose_layout(plan, slots=2, job_overhead_s=0.01, single_threshold_s=0.0)
    data = abstract_workflow(plan, layout, contracts())
    data["replicaCatalog"] = {
        "replicas": [{"lfn": lfn, "pfns": [{"site": "local", "pfn": str(file)}]} for lfn, file in plan.replicas.items()]
    }
    (root / "abstract.json").write_bytes(orjson.dumps(data))
    result = run_dynamo(root, "submit", "abstract.json", "--wait", "--json")
    assert result.returncode == 0, result.stderr
    run = orjson.loads(result.stdout)
    assert run["state"] == "succeeded"
    assert [(item["path"], item["sha256"]) for item in run["inputs"]] == [(str(path), sha256_file(path))]
    # What the replica holds is part of the run's key.
    write_small(root, 0, peak_dbz=50.0)
    other = orjson.loads(run_dynamo(root, "submit", "abstract.json", "--wait", "--json").stdout)
    assert other["new"] is True
    assert other["id"] != run["id"]


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("config", "show"), "resolved"),
        (("workflow", "schema"), "properties"),
        (("store", "upgrade"), "revision"),
        (("watch", "--check"), "valid"),
    ],
)
def test_every_answer_can_be_had_as_json(root: Path, arguments: tuple[str, ...], key: str) -> None:
    with (root / "dynamo.toml").open("a") as stream:
        stream.write('[[feeds]]\nname = "here"\npath = "."\n')
    result = run_dynamo(root, *arguments, "--json")
    assert result.returncode == 0, result.stderr
    assert key in orjson.loads(result.stdout)


def test_jobs_that_a_result_skips_are_told_and_the_run_succeeds(root: Path) -> None:
    leads = {"lead": "{inputs.nowcast.leads}"}
    document = {
        "dynamo": 1,
        "name": "strong",
        "version": "1",
        "inputs": {"nowcast": {"format": "casa-nowcast"}},
        "jobs": [
            {
                "id": "split",
                "module": "split",
                "inputs": {"nowcast": "{inputs.nowcast}"},
                "outputs": {"leads": {"for_each": leads, "name": "{lead}.nc"}},
                "arguments": {"leads": "{inputs.nowcast.leads}"},
            },
            {
                "id": "contour",
                "module": "contour",
                "for_each": leads,
                "when": "split.max_dbz >= 50",
                "inputs": {"grid": {"from": "split.leads"}},
                "outputs": {"geojson": "{lead}.geojson"},
            },
            {
                "id": "plot",
                "module": "plot",
                "for_each": leads,
                "when": "contour.polygons > 99",
                "inputs": {"grid": {"from": "split.leads"}},
                "outputs": {"png": "{lead}.png"},
            },
        ],
        "outputs": ["contour.geojson", "plot.png"],
    }
    (root / "strong.json").write_bytes(orjson.dumps(document))
    result = run_dynamo(root, "submit", "strong.json", "-i", f"nowcast={write_small(root, 0)}", "--wait", "--json")
    assert result.returncode == 0, result.stderr
    run = orjson.loads(result.stdout)
    assert run["jobs"] == {"total": 5, "done": 5, "failed": 0}
    index = orjson.loads((Path(run["product_dir"]) / "index.json").read_bytes())
    assert [item["name"] for item in index["products"]] == ["0.geojson", "1.geojson"]
    assert list(index["modules"]) == ["contour", "split"]
    told = {item["job"]: (item["reason"], item["products"]) for item in index["skipped"]}
    assert list(told) == ["plot-0", "plot-1"]
    why, products = told["plot-1"]
    assert re.fullmatch(r"contour\.polygons is \d+, not > 99", why)
    assert products == ["1.png"]
    shown = orjson.loads(run_dynamo(root, "runs", "show", run["id"], "--json").stdout)
    assert shown["skipped"] == {job: reason for job, (reason, _) in told.items()}
    assert [item["reason"] for item in shown["decisions"] if item["action"] == "branch"] == ["2 of 5 jobs skipped"]


def test_forced_products_are_made_beside_the_earlier_ones(root: Path) -> None:
    path = write_small(root, 0)
    first = submit(root, path)
    forced = submit(root, path, "--force")
    assert forced["id"] != first["id"]
    assert submit(root, path)["id"] == forced["id"], "the newest counts from now on"
    standing = {}
    store = open_store(root / ".dynamo" / "store.sqlite")
    with store.reading() as session:
        for run in session.scalars(select(Run)):
            standing[run.id] = run.standing
            assert has_products(run)
    store.close()
    assert standing == {first["id"]: "superseded", forced["id"]: "current"}
    assert (root / "products" / "nowcast" / "latest").resolve() == Path(forced["product_dir"])
