"""What HTCondor and Pegasus are told of a run: pure text from plan and layout."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo.engines.base import BACKGROUND, EngineError, RunFolder
from dynamo.engines.condor.dag import clear_attempt, dag_text
from dynamo.engines.condor.description import describe_task, environment, literal, quote
from dynamo.engines.condor.handle import Handle, read_handle, write_handle
from dynamo.engines.condor.options import CondorOptions
from dynamo.engines.condor.pegasus_records import task_records
from dynamo.engines.condor.pegasus_rundir import dagman_log, static_events, write_rundir
from dynamo.engines.condor.track import EXECUTE, SUBMIT, TERMINATED, JobEvent
from dynamo.engines.condor.worker import in_sandbox, keep_outputs
from dynamo.errors import MissingPartError, UsageError
from dynamo.workflows.model import Job, Layout, Plan, Resources, Task

TIME = datetime(2026, 5, 1, 12, 0, 0, tzinfo=UTC)
PLAN = Plan(
    name="nowcast",
    version="1",
    jobs=(
        Job("split", "split", {"nowcast": ("in.nc",)}, {"leads": ("a.nc", "b.nc")}, {}, retries=2),
        Job("plot-a", "plot", {"grid": ("a.nc",)}, {"png": ("a.png",)}, {}),
        Job("plot-b", "plot", {"grid": ("b.nc",)}, {"png": ("b.png",)}, {}),
    ),
    replicas={"in.nc": Path("/data/in.nc")},
    products=("a.png", "b.png"),
    priority=10,
)
CLUSTERS = Layout(
    "clusters",
    (Task("c0", ("split",), (), Resources(max_seconds=60)), Task("c1", ("plot-a", "plot-b"), ("c0",))),
    "for the test",
)
SINGLE = Layout("single", (Task("run", ("split", "plot-a", "plot-b")),), "for the test")


def commands(text: str) -> dict[str, str]:
    return dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)


def describe(task: Task, **options: Any) -> dict[str, str]:
    folder = RunFolder(Path("/runs/one"))
    return commands(describe_task(folder, PLAN, task, tag="tag", options=CondorOptions(**options), retries=2))


def test_task_on_a_shared_file_system() -> None:
    told = describe(CLUSTERS.tasks[0], transfer="no", python="/opt/python")
    assert told["executable"] == "/opt/python"
    assert told["arguments"] == '"-m dynamo.engines.condor.worker c0 60"'
    assert told["should_transfer_files"] == "NO"
    assert "transfer_input_files" not in told
    assert (told["request_cpus"], told["request_memory"], told["priority"]) == ("1", "512MB", "10")
    assert told["max_retries"] == "2"
    assert told["+DynamoRun"] == '"tag"'
    assert told["output"] == "logs/c0.out"  # where monitord looks, beside the .sub file
    assert told["+pegasus_wf_dax_job_id"] == '"split"'


def test_task_that_is_sent_gets_what_others_wrote_and_not_its_own() -> None:
    told = describe(SINGLE.tasks[0])
    assert told["should_transfer_files"] == "IF_NEEDED"
    assert told["transfer_input_files"] == "tasks/run.json, work/in.nc"
    assert told["transfer_output_files"] == "work, results"
    assert describe(CLUSTERS.tasks[1])["transfer_input_files"] == "tasks/c1.json, work/a.nc, work/b.nc"
    assert told["+pegasus_wf_dax_job_id"] == '"null"'


def test_task_in_the_background_yields_and_is_waited_for() -> None:
    folder, plan = RunFolder(Path("/runs/one")), replace(PLAN, priority=BACKGROUND)
    told = commands(describe_task(folder, plan, CLUSTERS.tasks[0], tag="tag", options=CondorOptions(), retries=0))
    assert told["arguments"] == '"-m dynamo.engines.condor.worker c0 600 yielding"'
    assert int(told["allowed_execute_duration"]) > 600
    assert told["priority"] == str(BACKGROUND)


def test_task_in_a_container(tmp_path: Path) -> None:
    told = describe(SINGLE.tasks[0], container="docker://dynamo:1")
    assert (told["universe"], told["container_image"]) == ("container", "docker://dynamo:1")
    # HTCondor would look for a mere name among the job's files.
    assert (told["executable"], told["should_transfer_files"]) == ("/usr/bin/env", "YES")
    assert told["arguments"].startswith('"python3 -m dynamo.engines.condor.worker run ')
    assert "environment" not in told
    assert "transfer_container" not in told
    told = describe(SINGLE.tasks[0], container=str(tmp_path), python="/opt/dynamo/bin/python")
    assert (told["executable"], told["transfer_container"]) == ("/opt/dynamo/bin/python", "False")
    assert told["arguments"].startswith('"-m dynamo.engines.condor.worker run ')


def test_operator_adds_commands_but_does_not_change_ours() -> None:
    assert describe(SINGLE.tasks[0], submit={"accounting_group": "storms"})["accounting_group"] == "storms"
    with pytest.raises(UsageError, match="reserved for the engine: Log"):
        CondorOptions(submit={"Log": "x"})


@pytest.mark.parametrize(
    "options",
    [
        {"transfer": "maybe"},
        {"transfer": "no", "container": "x"},
        {"python": "a\nqueue 9"},
        {"submit": {"a": "b\nqueue"}},
    ],
)
def test_options_that_cannot_be(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        CondorOptions(**options)


def test_quoting() -> None:
    assert literal("/a $(b)") == "/a $(DOLLAR)(b)"
    assert quote('a "b" \\') == '"a \\"b\\" \\\\"'
    assert environment({"A": 'it\'s "x"'}) == '"\'A=it\'\'s ""x""\'"'
    with pytest.raises(UsageError):
        literal("a\nqueue")


def test_dag() -> None:
    assert dag_text(PLAN, CLUSTERS).splitlines()[1:] == [
        "JOB c0 logs/c0.sub",
        "JOB c1 logs/c1.sub",
        "RETRY c0 2",
        "RETRY c1 1",
        "PARENT c0 CHILD c1",
    ]


@pytest.mark.parametrize("same", [True, False])
def test_rescue_dag_is_kept_only_for_the_same_dag(same: bool, tmp_path: Path) -> None:
    for suffix in ("rescue001", "lock", "nodes.log", "dagman.out"):
        (tmp_path / f"nowcast-0.dag.{suffix}").touch()
    clear_attempt(RunFolder(tmp_path), PLAN, same_dag=same)
    left = {path.name.removeprefix("nowcast-0.dag.") for path in tmp_path.iterdir()}
    assert left == ({"rescue001", "dagman.out"} if same else set())


def test_handle_is_read_back_and_of_one_engine(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert read_handle(folder) is None
    handle = Handle(tag="t", created="2026-05-01T00:00:00Z", cluster=7)
    write_handle(folder, handle)
    assert read_handle(folder) == handle
    with pytest.raises(EngineError, match="condor"):
        read_handle(folder, engine="pegasus")


def test_static_events_name_all_jobs_before_the_first_mapping() -> None:
    lines = static_events(PLAN, CLUSTERS, identity="uuid", planned=TIME).splitlines()
    kinds = [line.split("event=")[1].split()[0] for line in lines]
    assert kinds == ["task.info"] * 3 + ["task.edge"] * 2 + ["job.info"] * 2 + ["job.edge"] + ["wf.map.task_job"] * 3
    assert 'task.id="plot-a" job.id="c1"' in lines[-2]
    assert 'parent.task.id="split" child.task.id="plot-a"' in lines[3]


def test_rundir_is_yaml_and_the_same_twice(tmp_path: Path) -> None:
    write_rundir(RunFolder(tmp_path), PLAN, CLUSTERS, identity="uuid", planned=TIME)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write_rundir(RunFolder(tmp_path), PLAN, CLUSTERS, identity="uuid", planned=TIME)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    facts = yaml.safe_load(first["braindump.yml"])
    assert (facts["wf_uuid"], facts["dag"], facts["submit_dir"]) == ("uuid", "nowcast-0.dag", str(tmp_path))
    assert first["nowcast-0.notify"] == b""


def test_log_of_a_run_without_dagman_says_so() -> None:
    done = {"TerminatedNormally": True, "ReturnValue": 0}
    events = [
        JobEvent(kind, 5, 0, TIME, data) for kind, data in ((SUBMIT, {}), (EXECUTE, {}), (40, {}), (TERMINATED, done))
    ]
    text = dagman_log(PLAN, SINGLE, events, exit_code=0)
    assert "no DAGMan ran" in text
    assert "Event: ULOG_EXECUTE for HTCondor Node run (5.0.0)" in text
    assert "Node run job proc (5.0.0) completed successfully." in text
    assert text.endswith("EXITING WITH STATUS 0\n")
    # pegasus-status counts from the seven numbers of DAGMan's table: done first, failed last.
    assert re.search(r"\d\d:\d\d:\d\d +1( +0){6}$", text, re.MULTILINE)
    assert re.search(r"\d\d:\d\d:\d\d( +0){6} +1$", dagman_log(PLAN, SINGLE, events, exit_code=1), re.MULTILINE)
    assert dagman_log(PLAN, SINGLE, [], exit_code=0) == ""


def line(job: str, error: str | None = None) -> dict[str, Any]:
    return {
        "job": job,
        "module": "plot",
        "module_version": "1",
        "host": "worker",
        "started": "2026-05-01T12:00:00Z",
        "state": "failed" if error else "succeeded",
        "wall_s": 0.5,
        "cpu_s": 0.25,
        "error": error,
    }


def test_records_are_kickstarts_yaml() -> None:
    text = task_records([line("plot-a")], total=1)
    record = yaml.safe_load(text)[0]
    assert (record["derivation"], record["transformation"]) == ("plot-a", "dynamo::plot:1")
    assert record["mainjob"]["status"] == {"raw": 0, "regular_exitcode": 0}


def test_records_of_a_cluster_are_told_apart() -> None:
    text = task_records([line("plot-a"), line("plot-b", 'no "file": x')], total=3)
    assert text.count("[cluster-task id=") == 2
    assert 'stat="fail", lines=3, tasks=3, succeeded=1, failed=2' in text
    second = yaml.safe_load(text[text.index("- invocation", 5) : text.index("[cluster-task id=2")])[0]
    assert second["files"]["stderr"]["data"] == 'no "file": x\n'
    assert second["mainjob"]["status"]["regular_exitcode"] == 1


def test_sandbox_brings_back_outputs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tasks", "work/deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tasks" / "t.json").write_text('{"jobs": [{"outputs": {"png": ["deep/out.png", "never.png"]}}]}')
    for name in ("in.nc", "deep/out.png", "deep/in.nc"):
        (tmp_path / "work" / name).touch()
    monkeypatch.delenv("_CONDOR_SCRATCH_DIR", raising=False)
    assert not in_sandbox(tmp_path)
    monkeypatch.setenv("_CONDOR_SCRATCH_DIR", str(tmp_path))
    assert in_sandbox(tmp_path)
    keep_outputs(tmp_path, "t")
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == [tmp_path / "work/deep/out.png"]
    assert (tmp_path / "results").is_dir()


def test_without_pegasus_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynamo.engines.pegasus import PegasusEngine

    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPartError, match="engine condor") as caught:
        PegasusEngine()
    assert "pegasus-plan" in str(caught.value)


def test_without_a_pool_the_way_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dynamo.engines.registry import create_engine

    monkeypatch.setenv("DYNAMO_POOL_DIR", str(tmp_path))
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "none"))
    with pytest.raises(MissingPartError, match="dynamo pool up"):
        create_engine("condor")
    assert os.environ["CONDOR_CONFIG"] == str(tmp_path / "none")


def test_workflows_may_require_a_site() -> None:
    options = CondorOptions(requirements="HasGpu || Cpus > 1", sites={PLAN.name: "Chameleon:CHI@UC"})
    assert options.needs(PLAN.name) == '(HasGpu || Cpus > 1) && (TARGET.DynamoSite =?= "Chameleon:CHI@UC")'
    assert options.needs("another") == "(HasGpu || Cpus > 1)"
    assert CondorOptions().needs(PLAN.name) is None
