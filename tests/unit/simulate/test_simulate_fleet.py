"""The fleet simulator: weather, forecast, dispatching, the day as a whole, stored days."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from dynamo.autoscale.model import Decision, Demand
from dynamo.cli.simulate import register
from dynamo.errors import InputError, NotFoundError, UsageError
from dynamo.provision.fleets import apply_fleet
from dynamo.provision.ledger import add_workers
from dynamo.provision.spec.loading import load_spec
from dynamo.simulate.fleet.calibrate import compare
from dynamo.simulate.fleet.comparison import play
from dynamo.simulate.fleet.demand import demand_of
from dynamo.simulate.fleet.dispatch import SimulatedDispatcher, SimulatedRun
from dynamo.simulate.fleet.engine import Setting, simulate
from dynamo.simulate.fleet.figure import draw
from dynamo.simulate.fleet.forecast import StormForecaster
from dynamo.simulate.fleet.network import Network, casa, make_network, nexrad
from dynamo.simulate.fleet.outcome import DayOutcome, DecisionMade, turns
from dynamo.simulate.fleet.sites import Cloud
from dynamo.simulate.fleet.store import PersistenceForecaster, trace_from_store
from dynamo.simulate.fleet.trace import START, FileArrival, Trace, TraceOutage, weather_trace
from dynamo.simulate.fleet.truth import SeenWeather, find_truth
from dynamo.simulate.fleet.weather import DAYS, Storms, make_storms
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import WorkerUse
from dynamo.store.models import Run, StoredDocument

#: Whole simulated days.
pytestmark = pytest.mark.slow

CLOUD = Cloud("Quick:one", "quick", 1, 6, 60.0, 90.0)
PNG = b"\x89PNG"


class Fixed:
    """Always wants the same."""

    def __init__(self, **wanted: int) -> None:
        self._wanted = wanted

    def decide(self, *_known: object) -> Decision:
        return Decision(self._wanted)


class Queue:
    """Wants a worker for each 30 core-seconds that wait."""

    def decide(self, _now: datetime, demand: Demand, *_known: object) -> Decision:
        open_s = demand.by_source().get("runs", 0.0)
        return Decision({"quick": min(6, math.ceil(open_s / 30.0))}, {"quick": f"{open_s:.0f} s wait"})


def arrival(at_s: float, kind: str = "sweeps/0", *, task_s: float = 5.0, **more: Any) -> FileArrival:
    return FileArrival(at_s, kind.split("/", maxsplit=1)[0], "hail", kind, task_s, task_s, 60.0, **more)


def day(arrivals: Sequence[FileArrival], span_s: float = 3600.0, *, outages: tuple[TraceOutage, ...] = ()) -> Trace:
    found = tuple(arrivals)
    return Trace("a test", START, span_s, found, PersistenceForecaster(found), outages=outages)


def burst() -> Trace:
    """Ten minutes of 14 files a minute, after a quiet quarter of an hour."""
    times = np.arange(900.0, 1500.0, 4.3)
    return day([arrival(float(at), f"sweeps/{number % 7}") for number, at in enumerate(times)])


@pytest.fixture(scope="module")
def line() -> tuple[Network, Storms, SeenWeather]:
    network = casa()
    storms = make_storms("line", network, 1)
    return network, storms, find_truth(network, storms)


@pytest.fixture(scope="module")
def fixed() -> DayOutcome:
    return simulate(burst(), "fixed", Fixed(quick=3), Setting((CLOUD,)))


# ---- weather and forecast


def test_the_same_seed_gives_the_same_day() -> None:
    first, again, other = (weather_trace("cells", casa(), seed) for seed in (3, 3, 4))
    assert first.arrivals == again.arrivals
    assert first.arrivals != other.arrivals


def test_days_differ_as_their_names_say() -> None:
    hours = {name: weather_trace(name, casa(), 1).core_hours for name in DAYS}
    assert hours["quiet"] < 0.3 * min(hours["cells"], hours["line"])
    assert hours["two-lines"] > hours["line"]
    assert hours["outage"] == hours["line"]
    assert weather_trace("outage", casa(), 1).outages
    with pytest.raises(UsageError, match="unknown day"):
        weather_trace("snow", casa())


def test_a_large_network_has_159_radars_and_a_nowcast_every_two_minutes() -> None:
    network = nexrad()
    trace = weather_trace("quiet", network, 1)
    assert network.radars_km.shape == (159, 2)
    assert sum(item.feed == "conus" for item in trace.arrivals) == 720
    with pytest.raises(UsageError, match="unknown network"):
        make_network("x")
    with pytest.raises(UsageError, match="load"):
        make_network("casa", 0.0)


def test_dearer_payloads_are_divided_before_they_fill_their_deadline() -> None:
    for feed in make_network("nexrad", 10.0).feeds:
        assert (feed.base_core_s + feed.echo_core_s) / feed.tasks <= 0.25 * feed.deadline_s


def test_a_new_storm_shows_before_it_causes_work(line: tuple[Network, Storms, SeenWeather]) -> None:
    _, storms, _ = line
    young = storms.alive(float(storms.born_min[5]) + 3.0)
    assert 5 in young
    assert storms.area_km2(np.array([5]), float(storms.born_min[5]) + 3.0)[0] == 0.0
    assert storms.area_km2(np.array([5]), float(storms.born_min[5]) + 30.0)[0] > 0.0


def skill(line: tuple[Network, Storms, SeenWeather], low_min: float, high_min: float) -> tuple[float, float]:
    """Return mean absolute error by mean work, and the share of forecasts whose upper band was not exceeded."""
    network, storms, truth = line
    trace = weather_trace("line", network, 1)
    at = np.array([item.at_s for item in trace.arrivals])
    sums = np.concatenate([[0.0], np.cumsum([item.slot_s for item in trace.arrivals])])
    forecaster = StormForecaster(network, storms, truth, 1)
    wrong, total, within, count = 0.0, 0.0, 0, 0
    for now_s in range(8 * 3600, 15 * 3600, 240):
        items = [item for item in forecaster.expect(float(now_s)) if low_min <= (item.from_s - now_s) / 60.0 < high_min]
        expected, high = sum(item.slot_s for item in items), sum(item.slot_s_high for item in items)
        first, last = np.searchsorted(at, (now_s + 60.0 * low_min, now_s + 60.0 * high_min))
        came = float(sums[last] - sums[first])
        wrong, total = wrong + abs(expected - came), total + came
        if expected > 1.0:
            within, count = within + (came <= high), count + 1
    return wrong / total, within / max(1, count)


def test_skill_decreases_with_lead_and_the_band_covers_most(line: tuple[Network, Storms, SeenWeather]) -> None:
    near, near_covered = skill(line, 0.0, 6.0)
    far, far_covered = skill(line, 30.0, 40.0)
    assert near < 0.35
    assert near < 0.7 * far
    assert near_covered > 0.8
    assert far_covered > 0.6


def test_the_forecast_knows_nothing_of_storms_to_come(line: tuple[Network, Storms, SeenWeather]) -> None:
    network, storms, _ = line
    now_s = 9.0 * 3600.0
    born = storms.born_min * 60.0 <= now_s
    known = Storms(*(column[born] for column in vars(storms).values()))
    all_, past = (
        StormForecaster(network, each, find_truth(network, each), 1).expect(now_s) for each in (storms, known)
    )
    assert all_ == past


# ---- dispatching


def test_the_freshest_runs_first_and_late_superseded_ones_are_skipped() -> None:
    begun: list[int] = []
    dispatcher = SimulatedDispatcher(lambda run: begun.append(run.number), max_runs=1)
    dispatcher.put(arrival(0.0))
    dispatcher.dispatch(0.0)
    old, fresh, urgent = (
        dispatcher.put(item) for item in (arrival(5.0), arrival(20.0), arrival(6.0, "nowcasts/0", priority=5))
    )
    for now_s in (70.0, 71.0, 72.0):
        dispatcher.job_ended(begun[-1], now_s)
        dispatcher.dispatch(now_s)
    assert begun == [0, urgent.number, fresh.number]
    assert (old.fate, old.late) == ("skipped", True)
    assert not dispatcher.busy


def test_the_newest_of_a_kind_runs_however_late_it_is_and_sweeps_of_one_scan_do_not_replace_each_other() -> None:
    begun: list[int] = []
    dispatcher = SimulatedDispatcher(lambda run: begun.append(run.number), max_runs=9)
    runs = [dispatcher.put(item) for item in (arrival(0.0, scan_s=60.0), arrival(50.0, scan_s=60.0))]
    dispatcher.dispatch(500.0)
    assert sorted(begun) == [run.number for run in runs]
    for run in runs:
        dispatcher.job_ended(run.number, 505.0)
    assert all(run.late and run.fate == "done" for run in runs)


def test_demand_tells_of_open_runs_and_of_what_is_expected() -> None:
    trace = burst()
    run = SimulatedRun(0, arrival(1000.0, task_s=7.0, tasks=2), left=2)
    demand = demand_of(trace.start, 1020.0, [run], trace.forecaster.expect(1020.0))
    open_, *expected = demand.work
    assert (open_.source, open_.core_s, open_.cores) == ("runs", 14.0, 2)
    assert open_.due_at == trace.start + timedelta(seconds=1060)
    assert expected
    assert all(item.source == "forecast" and item.core_s_high >= item.core_s for item in expected)
    assert all(item.due_at is not None and item.due_at > item.ready_at for item in expected)


# ---- a day as a whole


def test_a_fixed_fleet_serves_a_burst_in_time(fixed: DayOutcome) -> None:
    assert fixed.late_percent == 0.0
    assert fixed.p50_s == pytest.approx(5.0)
    assert fixed.used_core_hours == pytest.approx(140 * 5.0 / 3600.0, rel=0.01)
    # From the beginning of their servers to the end of the day.
    assert 2.8 < fixed.paid_core_hours <= 3.0
    assert (fixed.decisions, fixed.turns, fixed.killed_jobs, fixed.unfinished) == (1, 0, 0, 0)


def test_a_fleet_that_answers_the_queue_is_late_and_cheap(fixed: DayOutcome) -> None:
    outcome = simulate(burst(), "queue", Queue(), Setting((CLOUD,)))
    assert outcome.late_percent > 5.0
    assert outcome.paid_core_hours < 0.5 * fixed.paid_core_hours
    assert outcome.killed_jobs == 0
    assert all(worker > 0 for worker in (outcome.workers, outcome.decisions))


def same(outcome: DayOutcome) -> Mapping[str, Any]:
    return {name: value for name, value in outcome.to_json().items() if name not in ("took_s", "decide_ms", "cycles")}


def test_the_same_seed_gives_the_same_outcome() -> None:
    first, again = (simulate(burst(), "queue", Queue(), Setting((CLOUD,))) for _ in range(2))
    assert same(first) == same(again)


def test_cycles_that_are_left_out_make_no_difference() -> None:
    failing = replace(CLOUD, failure_rate=0.3)
    trace = replace(burst(), outages=(TraceOutage(0, 1300.0, 1700.0),))
    some, every = (
        simulate(trace, "queue", Queue(), Setting((failing,), every_cycle=every_cycle)) for every_cycle in (False, True)
    )
    assert some.cycles < 0.8 * every.cycles
    assert same(some) == same(every)


def test_a_site_that_goes_away_takes_its_jobs_with_it() -> None:
    outcome = simulate(
        replace(burst(), outages=(TraceOutage(0, 1202.0, 1800.0),)),
        "fixed",
        Fixed(quick=3, other=1),
        Setting((CLOUD, replace(CLOUD, site="Other:two", group="other"))),
    )
    assert outcome.killed_jobs >= 1
    assert outcome.unfinished == 0
    # What is gone is not paid for while its site is away.
    assert outcome.paid_by_group["quick"] < 2.6


def test_paid_time_is_rounded_up_to_whole_units() -> None:
    hourly = replace(CLOUD, billing_s=3600.0)
    assert hourly.paid_s(10.0) == 3600.0
    assert hourly.paid_s(3600.0) == 3600.0
    assert hourly.paid_s(3601.0) == 7200.0
    assert CLOUD.paid_s(10.5) == 10.5


def test_turns_are_counted_by_group() -> None:
    changes = [{"a": 1}, {"a": 2, "b": 1}, {"a": -1}, {"b": -1}, {"b": 1}]
    made = [DecisionMade(0.0, {}, change, {}) for change in changes]
    assert turns(made) == 3


def test_every_policy_plays_a_day() -> None:
    trace = burst()
    outcomes = {name: play(trace, name, clouds=[CLOUD]) for name in ("static", "reactive", "linear", "predictive")}
    assert outcomes["static"].late_percent <= 1.0
    assert {outcome.runs for outcome in outcomes.values()} == {140}
    assert all(outcome.killed_jobs == 0 for outcome in outcomes.values())
    with pytest.raises(InputError, match="unknown policy"):
        play(trace, "clever")


def test_the_figure_is_a_picture(fixed: DayOutcome, tmp_path: Path) -> None:
    draw(replace(burst(), outages=(TraceOutage(0, 600.0, 700.0),)), [fixed], tmp_path / "fleet.png")
    assert (tmp_path / "fleet.png").read_bytes().startswith(PNG)


# ---- stored days

BEGAN = datetime(2026, 5, 1, 12, tzinfo=UTC)
HANDLING_S, START_DELAY_S, WALL_S, BOOT_S = 0.2, 0.3, 4.0, 30.0


def real_store(folder: Path, *, named: bool = True) -> Store:
    """Return a store of a run whose outcome is known: two workers, 60 runs of 4 s of slot time in 5 minutes.

    ``named``: whether the pool's records of jobs name the runs.
    """
    store = open_store(folder / "store.sqlite")
    spec = load_spec(
        {
            "name": "real",
            "sites": {"Local:here": {}},
            "compute": [{"name": "worker", "site": "Local:here", "count": 2, "max": 2}],
            "policy": {"cycle_s": 2},
        }
    )
    ready_at = BEGAN + timedelta(seconds=BOOT_S)
    over = BEGAN + timedelta(seconds=400)
    free = [ready_at, ready_at]
    with store.transaction() as session:
        apply_fleet(session, spec, base=folder, now=BEGAN)
        row = {
            "site": "Local:here",
            "group": "worker",
            "state": "released",
            "reason": "",
            "since": over,
            "flavor": "one",
            "cpus": 1,
            "ram_mb": 1000,
            "cost_per_hour": 0.0,
            "requested_at": BEGAN,
            "started_at": BEGAN + timedelta(seconds=1),
            "ready_at": ready_at,
            "ended_at": over,
        }
        add_workers(session, "real", [{**row, "name": f"w{number}"} for number in (1, 2)])
        session.add(StoredDocument(sha256="d", name="hail", version="1", body={}, recorded_at=BEGAN))
        session.flush()
        for number in range(60):
            came = BEGAN + timedelta(seconds=5.0 * number)
            place = free.index(min(free))
            begun = max(free[place], came + timedelta(seconds=START_DELAY_S))
            free[place] = ended = begun + timedelta(seconds=WALL_S)
            session.add(run_row(number, came, ended, ended + timedelta(seconds=HANDLING_S)))
            session.add(
                WorkerUse(
                    fleet="real",
                    job=f"{number}.0",
                    ended_at=ended,
                    worker=f"w{place + 1}",
                    core_s=WALL_S,
                    ok=True,
                    wall_s=WALL_S,
                    run=f"run-{number}" if named else f"attempt-{number}",
                    workflow="hail",
                )
            )
    return store


def run_row(number: int, came: datetime, ended: datetime, published: datetime) -> Run:
    return Run(
        id=f"run-{number}",
        key=f"key-{number}",
        workflow="hail",
        version="1",
        document="d",
        engine="condor",
        state="succeeded",
        inputs=[],
        parameters={},
        run_dir="",
        software="",
        cpu_s=3.0,
        predicted_s=2.5,
        valid_at=came,
        deadline_at=came + timedelta(seconds=60),
        detected_at=came,
        created_at=came,
        submitted_at=came,
        started_at=ended - timedelta(seconds=WALL_S),
        finished_at=ended,
        published_at=published,
        updated_at=published,
    )


def test_a_stored_day_becomes_a_trace_with_what_was_measured(tmp_path: Path) -> None:
    store = real_store(tmp_path)
    trace = trace_from_store(store)
    assert len(trace.arrivals) == 60
    assert trace.arrivals[1].at_s == 5.0
    assert {item.task_s for item in trace.arrivals} == {WALL_S}
    assert {item.planned_s for item in trace.arrivals} == {3.5}
    assert {item.deadline_s for item in trace.arrivals} == {60.0}
    assert trace.handling_s == pytest.approx(START_DELAY_S, abs=0.01)
    assert trace.arrivals[0].handling_s == pytest.approx(HANDLING_S, abs=0.01)
    with pytest.raises(NotFoundError, match="no runs"):
        trace_from_store(store, since=BEGAN + timedelta(days=1))
    store.close()


@pytest.mark.parametrize("named", [True, False])
def test_a_real_run_is_played_again_within_the_tolerance(tmp_path: Path, named: bool) -> None:
    store = real_store(tmp_path, named=named)
    found = compare(store)
    assert found["within"], found
    assert abs(found["difference"]["core_hours"]) < 0.05
    assert abs(found["difference"]["p50_s"]) < 0.05
    with pytest.raises(NotFoundError, match="no fleet"):
        compare(store, "another")
    store.close()


def test_the_commands_print_tables_and_json(tmp_path: Path) -> None:
    real_store(tmp_path).close()
    store = str(tmp_path / "store.sqlite")
    commands = typer.Typer()
    register(commands)
    commands.callback()(lambda: None)
    runner = CliRunner()
    shown = runner.invoke(
        commands, ["simulate", "fleet", "--store", store, "--policy", "static", "-o", str(tmp_path / "out")]
    )
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "out" / "fleet.png").read_bytes().startswith(PNG)
    assert '"late_percent"' in (tmp_path / "out" / "fleet.json").read_text()
    shown = runner.invoke(commands, ["simulate", "fleet", "--store", store, "--calibrate", "--json"])
    assert '"within": true' in shown.output
    assert isinstance(runner.invoke(commands, ["simulate", "fleet", "--calibrate"]).exception, UsageError)


def test_persistence_expects_what_came() -> None:
    trace = burst()
    assert not trace.forecaster.expect(800.0)
    soon = trace.forecaster.expect(1500.0)[0]
    assert soon.slot_s == pytest.approx(140 * 5.0 / 900.0 * 60.0, rel=0.02)
    assert soon.slot_s_high > soon.slot_s
