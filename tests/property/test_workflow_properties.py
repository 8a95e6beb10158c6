from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynamo.documents.loading import parse_json, parse_yaml, read_data
from dynamo.documents.problems import DocumentError
from dynamo.errors import InputError
from dynamo.modules.registry import contracts
from dynamo.workflows.document import Document
from dynamo.workflows.layout import choose_layout, levels, makespan, pack
from dynamo.workflows.model import Job, Plan, Resources
from dynamo.workflows.names import check_lfn, is_lfn
from dynamo.workflows.pegasus.read import parse_abstract
from dynamo.workflows.templates import parse, render
from dynamo.workflows.validate import parse_document, validate
from dynamo.workflows.workflow import find_workflow

#: Thousands of documents.
pytestmark = pytest.mark.slow

KEYS = st.sampled_from(
    [*Document.model_fields, "id", "module", "for_each", "from", "arguments", "pegasus", "uses", "lfn", "$schema"]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["split", "contour", "{inputs.nowcast.leads}", "{lead}", "casa-nowcast", "split.leads", "5.0"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)
NOWCAST: dict[str, Any] = read_data(find_workflow("nowcast"))


def test_the_hypothesis_base_is_valid() -> None:
    assert validate(NOWCAST, contracts()) == ()


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_either_good_or_reported(data: Any) -> None:
    for problem in validate(data, contracts()):
        assert problem.path.startswith("$")
        assert problem.what
        assert len(str(problem)) < 3000


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


PLACES = _places(NOWCAST)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), JSON)
def test_any_change_of_a_good_document_is_good_or_reported(place: tuple[Any, ...], value: Any) -> None:
    data = copy.deepcopy(NOWCAST)
    target: Any = data
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    if validate(data, contracts()) == ():
        document = parse_document(data, contracts())
        assert Document.model_validate(json.loads(json.dumps(document.to_json()))) == document


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_abstract_workflow_is_good_or_reported(data: Any) -> None:
    base: dict[str, Any] = {"pegasus": "5.0.4", "name": "w", "jobs": [data, {"name": "split", "id": "a"}]}
    for candidate in (data, base, {**base, "jobs": data}, {**base, "replicaCatalog": data, "metadata": data}):
        try:
            parse_abstract(candidate, contracts())
        except DocumentError:
            continue


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_read_or_refused(text: str) -> None:
    for reader in (parse_json, parse_yaml):
        try:
            reader(text)
        except InputError:
            continue


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**50), 10**50)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["1e5", "0x1f", "1:30", "2019-06-10", "yes", "~", "", "null", "010", "<<", "1_000", ".5"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(alphabet=st.characters(codec="utf-8"), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(PLAIN)
def test_what_yaml_writes_is_read_back(data: Any) -> None:
    assert parse_yaml(yaml.safe_dump(data)) == data
    assert parse_json(json.dumps(data)) == data


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from("./-_{}:%a0"), max_size=40))
def test_names_never_leave_the_run_folder(text: str) -> None:
    if is_lfn(text):
        root = Path("/run/work")
        path = Path(root, check_lfn(text))
        assert path.resolve().is_relative_to(root)
        assert text.isprintable()
        assert not text.startswith(("-", ".", "/"))


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="{}:.%YmdHMSafx0_ ", max_size=30),
    st.dictionaries(st.text(alphabet="af.x", max_size=4), SCALARS, max_size=4),
)
def test_templates_render_or_are_refused(text: str, scope: dict[str, object]) -> None:
    try:
        assert "{" not in parse(text).text or parse(text).references
        render(parse(text), scope)
    except InputError:
        return


# -- layouts
# -----------------------------------------------------------------------------------------------------

SECONDS = st.floats(min_value=0, max_value=100, allow_nan=False)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    count = draw(st.integers(1, 25))
    jobs = []
    for index in range(count):
        sources = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        jobs.append(
            Job(
                id=f"j{index}",
                module="m",
                inputs={"i": tuple(f"f{source}" for source in sorted(sources)) or ("in",)},
                outputs={"o": (f"f{index}",)},
                arguments={},
                resources=Resources(memory_mb=draw(st.integers(1, 4096)), max_seconds=draw(st.integers(1, 7200))),
                predicted_s=draw(SECONDS),
            )
        )
    order = draw(st.permutations(jobs))
    return Plan("p", "1", tuple(order), {"in": Path("/in")}, ())


@settings(max_examples=150, deadline=None)
@given(
    plans(),
    st.integers(1, 8),
    st.floats(min_value=0, max_value=20),
    st.floats(min_value=0, max_value=200),
)
def test_layouts_keep_every_job_and_dependency(plan: Plan, slots: int, overhead: float, threshold: float) -> None:
    layout = choose_layout(plan, slots=slots, job_overhead_s=overhead, single_threshold_s=threshold)
    placed = [name for task in layout.tasks for name in task.jobs]
    assert sorted(placed) == sorted(plan.by_id)
    task_of = {name: task.id for task in layout.tasks for name in task.jobs}
    assert len({task.id for task in layout.tasks}) == len(layout.tasks)
    seen: set[str] = set()
    for task in layout.tasks:
        # Parents come first, so there is no cycle; and they are exactly the tasks of the jobs' parents.
        assert set(task.parents) <= seen
        seen.add(task.id)
        wanted = {task_of[parent] for name in task.jobs for parent in plan.parents[name]} - {task.id}
        assert set(task.parents) == wanted
        done: set[str] = set()
        for name in task.jobs:
            assert plan.parents[name] & set(task.jobs) <= done
            done.add(name)
        jobs = [plan.by_id[name] for name in task.jobs]
        assert task.resources.memory_mb == max(job.resources.memory_mb for job in jobs)
        assert task.resources.max_seconds >= max(job.resources.max_seconds for job in jobs)
    assert layout.reason
    if layout.kind == "clusters":
        bound = sum(
            overhead + sum(job.predicted_s for job in level) / slots + max(job.predicted_s for job in level)
            for level in levels(plan)
        )
        spent = makespan(layout.tasks, slots=slots, job_overhead_s=overhead)
        assert spent <= bound * (1 + 1e-9)
        assert spent < overhead + plan.predicted_s


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.integers(0, 999).map(str), SECONDS, min_size=1, max_size=40), st.integers(1, 9))
def test_packing_is_even(costs: dict[str, float], bins: int) -> None:
    packed = pack(costs, bins)
    assert sorted(name for names in packed for name in names) == sorted(costs)
    assert len(packed) == min(bins, len(costs))
    fullest = max(sum(costs[name] for name in names) for names in packed)
    assert fullest <= sum(costs.values()) / bins + max(costs.values()) + 1e-9
    best = max([sum(costs.values()) / bins, *costs.values()])
    assert fullest <= 2 * best + 1e-9
