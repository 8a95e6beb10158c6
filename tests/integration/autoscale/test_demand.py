"""Demand from a real store, a real queue and real radar data."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from dynamo.autoscale.demand.bands import track_from_json
from dynamo.autoscale.demand.base import gather
from dynamo.autoscale.demand.costing import RunCosts
from dynamo.autoscale.demand.queue import QueueSource, pool_tools
from dynamo.autoscale.demand.registry import SOURCES, make_sources
from dynamo.engines.condor.description import TAG
from dynamo.errors import InputError
from dynamo.inspection.facts import InputFacts, facts_from_json, facts_to_json
from dynamo.inspection.look import inspect_input
from dynamo.pool.environment import pool_environment
from dynamo.pool.record import PoolRecord
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.models import Cursor
from dynamo.times import utc_now
from dynamo.triggers import pausing
from dynamo.triggers.outlook.pictures import shifted
from tests.integration.autoscale.demand_support import HAIL, NOON, NOWCASTS, Day, every, nowcast_facts, sweep_facts
from tests.simulated import composite_files, radar_files
from tests.waiting import PATIENCE

OVERHEAD_S = 3.5
GROWING = [100_000 * lead for lead in range(31)]


# -- forecast


def test_the_load_of_the_next_hour_follows_the_nowcast(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    for time_ in every(60, 10):
        day.arrive("nowcasts", nowcast_facts(time_, GROWING))
    (source,) = make_sources(day.parts(), ["forecast"])
    work = source.work(NOON + timedelta(seconds=5), 3600.0)
    assert [one.ready_at for one in work] == [NOON + timedelta(minutes=minute) for minute in range(1, 61)]
    costs = [one.core_s for one in work]
    # What is foreseen for 12:30 lies ahead of every nowcast until then.
    assert all(later > earlier for earlier, later in pairwise(costs[:30]))
    assert costs[30] == pytest.approx(costs[59], rel=0.1)
    first = work[0]
    assert first.due_at == first.ready_at + timedelta(seconds=60)
    assert (first.label, first.priority, first.memory_mb_each, first.cores) == ("storms", 10, 512, 1)
    assert all(one.core_s_high > 1.5 * one.core_s for one in work)


def test_the_cost_is_what_the_plan_of_the_later_run_will_say(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    for time_ in every(60, 10):
        day.arrive("nowcasts", nowcast_facts(time_, [50_000] * 31))
    (source,) = make_sources(day.parts(), ["forecast"])
    expected = source.work(NOON, 60.0)[0]
    later = NOON + timedelta(minutes=1)
    predicted_s = day.finish("storms", day.arrive("nowcasts", nowcast_facts(later, [50_000] * 31)))
    assert expected.core_s == pytest.approx(predicted_s + OVERHEAD_S, rel=0.05)


def test_work_that_the_condition_will_not_start_does_not_count(tmp_path: Path) -> None:
    condition = {"area_km2": 100.0, "level_dbz": 45.0, "leads": [0]}
    data = {**NOWCASTS, "triggers": [{**NOWCASTS["triggers"][0], "condition": condition}]}
    day = Day(tmp_path, data)
    areas = [1.0] * 15 + [400.0] * 16
    for time_ in every(60, 10):
        day.arrive("nowcasts", nowcast_facts(time_, [10] * 31, area_km2=areas))
    (source,) = make_sources(day.parts(), ["forecast"])
    work = source.work(NOON, 3600.0)
    assert min(one.ready_at for one in work) == NOON + timedelta(minutes=15)
    assert len(work) == 46


def test_a_silent_feed_is_told_and_brings_nothing(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    for time_ in every(60, 10):
        day.arrive("nowcasts", nowcast_facts(time_, GROWING))
    demand = gather(make_sources(day.parts(), ["forecast"]), NOON + timedelta(hours=2))
    assert demand.work == ()
    assert "silent since 2026-05-20T12:00:00Z" in demand.notes["forecast feed nowcasts"]


def test_a_trigger_whose_runs_need_no_pool_counts_nothing(tmp_path: Path) -> None:
    data = {**NOWCASTS, "triggers": [{**NOWCASTS["triggers"][0], "engine": "local"}]}
    day = Day(tmp_path, data)
    day.arrive("nowcasts", nowcast_facts(NOON, GROWING))
    demand = gather(make_sources(day.parts(), ["forecast"]), NOON)
    assert demand.work == ()
    assert "not on the pool" in demand.notes["forecast trigger storms"]


def test_a_paused_trigger_brings_nothing_and_its_pause_teaches_nothing(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    for time_ in every(60, 10):
        day.arrive("nowcasts", nowcast_facts(time_, GROWING))
    (source,) = make_sources(day.parts(), ["forecast"])
    assert source.work(NOON, 3600.0)
    with day.store.transaction() as session:
        pausing.pause(session, "storms", "radar maintenance", NOON)
    later = NOON + timedelta(minutes=1)
    demand = gather([source], later)
    assert demand.work == ()
    assert "radar maintenance: none expected" in demand.notes["forecast trigger storms"]
    with day.store.reading() as session:
        track = track_from_json(session.get_one(Cursor, "demand forecast storms").data)
    # Predictions of before the pause would all be judged as wrong.
    assert (track.pending, track.seen) == ({}, {})
    with day.store.transaction() as session:
        pausing.resume(session, "storms")
    assert source.work(later, 3600.0)


def test_pieces_that_a_paused_trigger_would_make_are_not_expected(tmp_path: Path) -> None:
    day = hail_day(tmp_path, (0.0,) * 4)
    (source,) = make_sources(day.parts(), ["forecast"])
    assert {"hail", "network"} <= {one.label for one in source.work(NOON, 600.0)}
    with day.store.transaction() as session:
        pausing.pause(session, "hail", "", NOON)
    assert not source.work(NOON, 600.0)


def test_a_schedule_takes_the_picture_of_its_time(tmp_path: Path) -> None:
    trigger = {
        "name": "hourly", "kind": "schedule", "every_min": 20, "feed": "nowcasts", "workflow": "nowcast",
        "engine": "condor",
    }  # fmt: skip
    day = Day(tmp_path, {**NOWCASTS, "triggers": [trigger]})
    for time_ in every(60, 10):
        day.arrive("nowcasts", nowcast_facts(time_, GROWING))
    (source,) = make_sources(day.parts(), ["forecast"])
    work = source.work(NOON + timedelta(minutes=1), 3600.0)
    assert [one.ready_at for one in work] == [NOON + timedelta(minutes=20 * count) for count in (1, 2, 3)]
    assert work[1].core_s > work[0].core_s


def hail_day(root: Path, coming: tuple[float, ...]) -> Day:
    """Radar A has hail, radar B has none; a nowcast shows strong echo near B as ``coming`` says."""
    day = Day(root, HAIL)
    a, b = (33.5, -97.5), (32.2, -96.4)
    for time_ in every(60, 10):
        blocks = ((*a, 50.0, 50.0, 50.0, 50.0), (*b, *coming))
        day.arrive("nowcasts", nowcast_facts(time_, [10] * 31, blocks=blocks))
    for time_ in every(30, 40):
        day.arrive("sweeps", sweep_facts(time_, "A", a, aloft=9.0))
        day.arrive("sweeps", sweep_facts(time_, "B", b))
    day.spell("hail", "A", NOON)
    day.spell("hail", "B", NOON, active=False)
    return day


def test_hail_work_is_expected_where_storms_stay_or_come(tmp_path: Path) -> None:
    (tmp_path / "coming").mkdir()
    (tmp_path / "clear").mkdir()
    horizon_s = 3600.0
    sums = {}
    for name, coming in (("clear", (0.0,) * 4), ("coming", (0.0, 0.0, 40.0, 90.0))):
        day = hail_day(tmp_path / name, coming)
        (source,) = make_sources(day.parts(), ["forecast"])
        work = [one for one in source.work(NOON, horizon_s) if one.label == "hail"]
        sums[name] = work
    # One sweep each 30 s of the radar that has hail, for the whole hour.
    assert len(sums["clear"]) == 120
    begins = min(one.ready_at for one in sums["coming"] if one not in sums["clear"])
    extra = len(sums["coming"]) - len(sums["clear"])
    assert begins >= NOON
    assert 80 <= extra <= 110, "the storms reach radar B after ten minutes"
    assert sums["coming"][0].memory_mb_each == 2048


def test_the_network_is_put_together_while_any_radar_has_hail(tmp_path: Path) -> None:
    day = hail_day(tmp_path, (0.0,) * 4)
    (source,) = make_sources(day.parts(), ["forecast"])
    work = [one for one in source.work(NOON, 600.0) if one.label == "network"]
    # Slots that end after noon and are waited for 30 s.
    assert len(work) == 9
    assert all(one.cores == 1 and one.memory_mb_each == 1024 for one in work)
    day.spell("hail", "A", NOON, active=False)
    assert not [one for one in source.work(NOON, 600.0) if one.label == "network"]


def test_what_came_true_corrects_the_forecast(tmp_path: Path) -> None:
    """Runs that cost three times what is predicted, for hours: the forecast learns it, for the next process too."""
    day = Day(tmp_path, NOWCASTS)
    facts = [2_000_000] * 31
    (source,) = make_sources(day.parts(), ["forecast"])
    begin = NOON - timedelta(hours=6)
    for time_ in every(120, 10, begin):
        day.arrive("nowcasts", nowcast_facts(time_, facts))
    first = source.work(begin + timedelta(seconds=1), 1800.0)[0]
    for step in range(1, 90):
        now = begin + timedelta(seconds=120 * step)
        day.finish("storms", day.arrive("nowcasts", nowcast_facts(now, facts)), factor=3.0)
        source.work(now + timedelta(seconds=1), 1800.0)
    (other,) = make_sources(day.parts(learns=False), ["forecast"])
    with day.store.reading() as session:
        before = session.get_one(Cursor, "demand forecast storms").updated_at
    last = other.work(now + timedelta(seconds=2), 1800.0)
    wanted = (first.core_s - OVERHEAD_S) * 3.0 + OVERHEAD_S
    corrected = [one.core_s for one in last if one.ready_at > now + timedelta(minutes=5)]
    assert corrected[0] == pytest.approx(wanted, rel=0.2)
    assert last[0].core_s_high < 1.6 * last[0].core_s, "the band is narrow: it is always so"
    with day.store.reading() as session:
        assert session.get_one(Cursor, "demand forecast storms").updated_at == before


def test_the_load_of_real_storms_is_foreseen(data_dir: Path, tmp_path: Path) -> None:
    """Swiss storms of 2016-07-11: what the nowcast of 21:00 says of those 10 and 20 minutes later."""
    from dynamo.processing.nowcast import make_nowcast

    frames = sorted((data_dir / "composites" / "meteoswiss_20160711").glob("*.gif"))
    planner = DocumentPlanner()
    workflow = planner.load("nowcast")
    parameters = planner.parameters(workflow, {"levels": "35,40,45,50,55"})
    costs = RunCosts(planner)
    found: list[InputFacts] = []
    for last in (3, 5, 7):
        path = tmp_path / f"nowcast{last}.nc"
        make_nowcast(frames[last - 2 : last + 1], path, bbox=(46.5, 8.0, 47.8, 9.7))
        found.append(inspect_input(path, [35.0, 40.0, 45.0, 50.0, 55.0]))
    for later, minutes in ((found[1], 10), (found[2], 20)):
        foreseen = costs.cost(workflow, parameters, {"nowcast": shifted(found[0], minutes)}, "")
        came = costs.cost(workflow, parameters, {"nowcast": later}, "")
        assert foreseen is not None
        assert came is not None
        assert foreseen.core_s == pytest.approx(came.core_s, rel=0.15)


# -- runs


def test_what_is_left_of_runs_counts_once(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    arrivals = [day.arrive("nowcasts", nowcast_facts(time_, [1000] * 31)) for time_ in every(60, 5)]
    day.run("storms", arrivals[0], "succeeded", predicted_s=50.0, cpu_s=50.0, jobs_total=63)
    day.run("storms", arrivals[1], "running", predicted_s=50.0, jobs_total=100, jobs_done=60)
    day.run("storms", arrivals[2], "submitted", predicted_s=50.0, jobs_total=100)
    day.run("storms", arrivals[3], "publishing", predicted_s=50.0, jobs_total=100, jobs_done=100)
    day.run("storms", arrivals[4])
    (source,) = make_sources(day.parts(), ["runs"])
    work = sorted(source.work(NOON, 600.0), key=lambda one: -one.core_s)
    assert len(work) == 3
    assert work[1].core_s == pytest.approx(0.4 * work[0].core_s)
    # Not planned yet: what the facts of its arrival say.
    assert work[2].core_s == pytest.approx(OVERHEAD_S, abs=1.0)
    assert all(one.due_at is not None and one.priority == 10 and one.source == "runs" for one in work)
    assert {one.memory_mb_each for one in work} == {512}


def test_runs_that_the_dispatcher_will_skip_are_no_demand(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    old, new = (day.arrive("nowcasts", nowcast_facts(time_, [1000] * 31)) for time_ in every(60, 2))
    day.run("storms", old, "planned", predicted_s=5.0, jobs_total=63)
    newest = day.run("storms", new, "planned", predicted_s=7.0, jobs_total=63)
    (source,) = make_sources(day.parts(), ["runs"])
    late = NOON + timedelta(minutes=10)
    (work,) = source.work(late, 600.0)
    assert work.due_at == newest.deadline_at
    assert work.due_at is not None
    assert work.due_at < late


def test_runs_that_are_never_left_out_are_more_urgent_than_all_that_can_be_declared(tmp_path: Path) -> None:
    day = Day(tmp_path, {**NOWCASTS, "triggers": [{**NOWCASTS["triggers"][0], "shed": "never", "priority": -1000}]})
    day.run("storms", day.arrive("nowcasts", nowcast_facts(NOON, [0] * 31)))
    (source,) = make_sources(day.parts(), ["runs"])
    assert source.work(NOON, 600.0)[0].priority > 1000


def test_a_workflow_may_have_a_site_of_its_own(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    day.run("storms", day.arrive("nowcasts", nowcast_facts(NOON, [0] * 31)))
    (source,) = make_sources(day.parts(sites={"nowcast": "Local:Here"}), ["runs"])
    assert source.work(NOON, 600.0)[0].site == "Local:Here"


# -- queue


def test_the_queue_of_a_real_pool(condor_pool: PoolRecord, tmp_path: Path) -> None:
    def submit(count: int, **commands: str) -> None:
        job = {
            "executable": shutil.which("sleep") or "sleep",
            "arguments": "120",
            "transfer_executable": "False",
            "initialdir": str(tmp_path),
            "should_transfer_files": "NO",
            "request_cpus": "1",
            "request_memory": "32",
            "request_disk": "2048",
            **commands,
        }
        text = "".join(f"{key} = {value}\n" for key, value in job.items()) + f"queue {count}\n"
        subprocess.run(
            [f"{condor_pool.bin}/condor_submit", "-"],
            input=text, text=True, check=True, capture_output=True, env=pool_environment(),
        )  # fmt: skip

    tools = pool_tools(Path(condor_pool.state))
    everything, others = QueueSource(tools, without_own=False), QueueSource(tools, run_folders=tmp_path / "runs")
    planned = tmp_path / "runs" / "some-run" / "pegasus"
    planned.mkdir(parents=True)
    try:
        submit(1, **{"+EstimatedWallTimeMins": "10"})
        # More than the pool has: they wait.
        submit(3, request_cpus="64", priority="7")
        submit(2, request_cpus="32", **{f"+{TAG}": '"some-run"'})
        submit(1, request_cpus="16", initialdir=str(planned))
        deadline = time.monotonic() + PATIENCE * 60
        work = others.work(utc_now(), 600.0)
        while not any(" running " in one.label for one in work):
            assert time.monotonic() < deadline, work
            time.sleep(0.2)
            work = others.work(utc_now(), 600.0)
        found = {one.cores_each: one for one in work}
        assert set(found) == {1, 64}
        assert 400.0 < found[1].core_s <= 600.0
        assert (found[1].memory_mb_each, found[1].disk_mb_each) == (32, 2)
        assert (found[64].cores, found[64].priority) == (192, 7)
        assert {one.cores_each for one in everything.work(utc_now(), 600.0)} == {1, 16, 32, 64}
    finally:
        subprocess.run(
            [f"{condor_pool.bin}/condor_rm", "-all"], check=False, capture_output=True, env=pool_environment()
        )


def test_a_pool_that_is_away_is_missing(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    demand = gather(make_sources(day.parts()), NOON)
    assert set(demand.missing) == {"queue"}
    assert "no pool is running" in demand.missing["queue"]


# -- registry and facts


def test_sources_have_names(tmp_path: Path) -> None:
    day = Day(tmp_path, NOWCASTS)
    assert tuple(source.name for source in make_sources(day.parts())) == SOURCES
    with pytest.raises(InputError, match="did you mean queue"):
        make_sources(day.parts(), ["queues"])
    with pytest.raises(InputError, match="twice"):
        make_sources(day.parts(), ["runs", "runs"])


def test_facts_tell_where_radar_and_strong_echo_are(tmp_path: Path) -> None:
    from dynamo.processing.nowcast import make_nowcast

    radar = inspect_input(radar_files(tmp_path, "nexrad")[0], [45.0])
    assert radar.position == pytest.approx((32.981, -96.839), abs=0.01)
    assert radar.range_km is not None
    assert 100.0 < radar.range_km < 500.0
    frames = composite_files(tmp_path, "meteoswiss", 2)
    path = tmp_path / "nowcast.nc"
    make_nowcast(frames, path, leads=10, bbox=(46.0, 6.5, 47.5, 9.5))
    facts = inspect_input(path, [45.0])
    assert facts.bounds == pytest.approx((46.0, 6.5, 47.5, 9.5), abs=0.02)
    assert facts.block_leads == (0, 10)
    sums = [sum(column) for column in zip(*(block[2:] for block in facts.blocks_km2), strict=True)]
    assert sums[0] == pytest.approx(facts.area_km2[45.0][0], rel=0.02)
    assert sums[1] == pytest.approx(facts.area_km2[45.0][10], rel=0.02)
    assert facts_from_json(facts_to_json(facts)) == facts_from_json(
        facts_to_json(facts_from_json(facts_to_json(facts)))
    )
