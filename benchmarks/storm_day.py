"""A storm day, compressed, for real: simulated feeds drive a real HTCondor pool from no workers up and back to none.

The whole chain, each part as an operator starts it: `dynamo-provision apply` and `daemon` (with `[autoscale]`), `dynamo
watch` with the engine `condor` on the fleet's pool, and a feed into which nowcasts and sweeps of a day are written, a
minute of data every few seconds: clear, storms begin, a line of storms, they end, clear.

At the end: no job killed, every arrival decided upon and every run succeeded or skipped with its reason, nobody left.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, select

from benchmarks.htcondor import ensure_htcondor
from benchmarks.report import console, save, show
from benchmarks.storm_day_figure import draw
from benchmarks.storm_day_outcome import DEADLINE_S, Outcome, Sample, outcome_of
from dynamo.autoscale.decisions import read_state
from dynamo.errors import DynamoError
from dynamo.pool.record import STATE_VARIABLE, read_record
from dynamo.provision.deciding.lifecycle import FINAL
from dynamo.provision.keeping.opening import fleet_folder
from dynamo.simulate.nowcast import NowcastSimulator
from dynamo.simulate.radar import RadarSimulator
from dynamo.simulate.storms import RegimeName
from dynamo.store.engine import Store, open_store
from dynamo.store.fleets import Worker
from dynamo.store.models import Arrival, Run
from dynamo.times import utc_now

FLEET = "storm-day"
#: Data minutes of each part of the day.
DAY: tuple[tuple[RegimeName, int], ...] = (("clear", 6), ("cells", 8), ("wide", 14), ("cells", 6), ("clear", 6))
_RADARS = 3
#: Options of the policy, as much shorter than usual as the day; this machine's cores are fewer than its workers.
_POLICY = {
    "settle_s": 20.0,
    "lead_s": 5.0,
    "overhead_s": 10.0,
    "utilisation": 0.7,
    "catch_up_s": 20.0,
    "bin_s": 5.0,
    "surprise_s": 40.0,
}
_RAYS_GATES = (360, 640)
_LAST_S = 120.0
_FIGURE = Path(__file__).resolve().parents[1] / "docs" / "storm_day.png"


def run(_data: Path | None = None, *, beat_s: float = 4.5, workers: int = 5, out: Path | None = None) -> list[Any]:
    """Live through the day once; return the table.

    Parameters
    ----------
    beat_s
        Seconds for a minute of data.
    workers
        Most workers of the fleet, one processor each.
    out
        Folder for the figure, JSON, logs and store; without it the figure goes to ``docs``, the rest nowhere.
    """
    # Paths of sockets are short.
    with tempfile.TemporaryDirectory(prefix="dyn-day-", ignore_cleanup_errors=True) as folder:
        try:
            outcome = live(Path(folder), beat_s=beat_s, workers=workers)
        finally:
            if out is not None:
                _keep(Path(folder), out)
    data = outcome.to_json()
    figure = _FIGURE if out is None else out / "storm_day.png"
    draw(outcome, figure, workers)
    if out is not None:
        (out / "storm_day.json").write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2))
    latency = data["latency_s"]
    table = show(
        f"storm day, {sum(minutes for _, minutes in DAY)} min of data in {outcome.seconds:.0f} s, real HTCondor, "
        f"0 to {workers} to 0 workers on this machine",
        ("", "value"),
        [
            ("files / runs succeeded / skipped", _counts(outcome)),
            ("products p50 / p95 / worst, s", f"{latency['0.5']:.1f} / {latency['0.95']:.1f} / {latency['1.0']:.1f}"),
            (f"later than {DEADLINE_S:.0f} s", str(data["late"])),
            ("jobs killed / workers left", f"{outcome.killed} / {outcome.left}"),
            (
                "most workers / boots, p50 s",
                f"{outcome.most_workers} / {len(outcome.boots_s)}, {data['boot_s']['0.5']}",
            ),
            ("core-hours paid / at work", f"{outcome.paid_core_h:.3f} / {outcome.used_core_h:.3f}"),
            ("of the peak, all day", f"{outcome.paid_core_h / max(1e-9, data['core_hours_static_peak']):.0%}"),
            ("decisions", str(len(outcome.decisions))),
        ],
        f"Figure: {figure}. Problems: {'; '.join(outcome.problems) or 'none'}.",
    )
    if outcome.problems:
        raise SystemExit("the storm day: " + "; ".join(outcome.problems))
    return [table]


def live(root: Path, *, beat_s: float, workers: int) -> Outcome:
    """Set everything up in ``root``, go through the day, and end everything."""
    ensure_htcondor()
    _configure(root, workers)
    console.print("storm day: making the day's files ...")
    schedule, phases = _make(root / "made", beat_s)
    environment = _environment(root)
    _command(root, environment, "dynamo.cli.fleet.main", "apply", "fleet.json", "--no-wait")
    processes: list[subprocess.Popen[bytes]] = []
    store = open_store(root / "state" / "store.sqlite")
    try:
        processes.append(_start(root, environment, "provision", "dynamo.cli.fleet.main", "daemon"))
        pool = fleet_folder(root / "state", FLEET) / "pool"
        _wait(lambda: (found := read_record(pool)) is not None and found.running(), 60.0, "the fleet's pool")
        environment[STATE_VARIABLE] = str(pool)
        watch = _start(root, environment, "watch", "dynamo", "watch")
        processes.append(watch)

        def watching() -> bool:
            return watch.poll() is not None or b"msg=watching" in (root / "watch.log").read_bytes()

        _wait(watching, 60.0, "the watch daemon")
        return _live(root, store, schedule, phases, processes)
    finally:
        _end(root, environment, processes)
        store.close()


def _live(
    root: Path,
    store: Store,
    schedule: Sequence[tuple[float, Path]],
    phases: list[tuple[str, float, float]],
    processes: Sequence[subprocess.Popen[bytes]],
) -> Outcome:
    began, start = utc_now(), time.monotonic()
    stop = threading.Event()
    samples: list[Sample] = []
    sampler = threading.Thread(target=_sample, args=(store, start, samples, stop), daemon=True)
    sampler.start()
    console.print(f"storm day: {len(schedule)} files in {schedule[-1][0]:.0f} s ...")
    for due_s, path in schedule:
        time.sleep(max(0.0, start + due_s - time.monotonic()))
        path.replace(root / ("nowcasts" if path.suffix == ".nc" else "sweeps") / path.name)
    last_s = time.monotonic() - start

    def over() -> bool:
        if any(process.poll() is not None for process in processes):
            return True
        counts, arrivals, unfinished = _now(store)
        return arrivals == len(schedule) and not unfinished and not any(counts.values())

    problems = []
    try:
        _wait(over, _LAST_S, "an end with no workers and no work")
    except TimeoutError as error:
        problems.append(str(error))
    problems += [f"process {p.args!r} ended with {p.returncode}" for p in processes if p.poll() is not None]
    seconds = time.monotonic() - start
    stop.set()
    sampler.join(5.0)
    console.print(f"storm day: no worker is left {seconds - last_s:.0f} s after the last file")
    return outcome_of(store, FLEET, began, seconds, len(schedule), phases, samples, problems)


# ---- the parts of the day ------------------------------------------------------------------------------------------


def _configure(root: Path, workers: int) -> None:
    for feed in ("nowcasts", "sweeps"):
        (root / feed).mkdir(parents=True)
    spec = {
        "name": FLEET,
        "description": "A pool on this machine that begins with no workers.",
        "sites": {
            "Local:here": {
                "max_workers": workers,
                "boot_timeout_s": 60,
                # One job of the largest kind fits a worker.
                "options": {"flavors": [{"name": "one", "cpus": 1, "ram_mb": 2304, "cost_per_hour": 1.0}]},
            }
        },
        "compute": [{"name": "worker", "site": "Local:here", "count": 0, "min": 0, "max": workers, "workerCpus": 1}],
        "policy": {
            "cycle_s": 1,
            "join_timeout_s": 60,
            "missing_s": 60,
            "collector_grace_s": 5,
            "max_removal_share": 0.5,
        },
    }
    (root / "fleet.json").write_bytes(orjson.dumps(spec))
    options = ", ".join(f"{name} = {value}" for name, value in _POLICY.items())
    (root / "dynamo.toml").write_text(
        f"""
[folders]
state = "state"
products = "products"

[runs]
engine = "condor"
max_runs = {3 * workers}
keep_succeeded_h = 0.0
fsync = false

[engines.condor]
slots = 1
# What starting a job costs a worker here, claims being kept; the default is that of a pool without.
job_overhead_s = 1.0
options = {{ transfer = "no" }}

[[feeds]]
name = "nowcasts"
path = "nowcasts"
patterns = ["MERGE_DARTS_*.nc"]

[[feeds]]
name = "sweeps"
path = "sweeps"
patterns = ["*.netcdf.gz"]

[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
priority = 20
deadline_s = {DEADLINE_S}
condition = {{ area_km2 = 10, level_dbz = 45 }}

[[triggers]]
name = "hail"
kind = "precursor"
feed = "sweeps"
workflow = "hail"
deadline_s = {DEADLINE_S}
precursor = {{ low_area_km2 = 10.0, hold_min = 3 }}

[autoscale]
enabled = true
every_s = 2.0
horizon_s = 120.0
options = {{ {options} }}
""",
        encoding="utf-8",
    )


def _make(folder: Path, beat_s: float) -> tuple[list[tuple[float, Path]], list[tuple[str, float, float]]]:
    """Write all files of the day aside; return when each is due, and when each part begins and ends, seconds."""
    minutes = sum(count for _, count in DAY)
    first = utc_now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    schedule: list[tuple[float, Path]] = []
    phases: list[tuple[str, float, float]] = []
    minute = 0
    for seed, (regime, count) in enumerate(DAY, start=1):
        phases.append((regime, minute * beat_s, (minute + count) * beat_s))
        start = first + timedelta(minutes=minute)
        nowcasts = NowcastSimulator(regime, (201, 201), start, count=count, seed=seed)
        schedule += [((minute + index) * beat_s, nowcasts.write(folder, index)) for index in range(count)]
        radars = RadarSimulator(regime, start, _RADARS, 1, count, seed=seed, shape=_RAYS_GATES)
        for sweep in radars.sweeps():
            at_min = minute + (sweep.time - start).total_seconds() / 60.0
            schedule.append((at_min * beat_s, radars.write(folder, sweep)))
        minute += count
    return sorted(schedule), phases


def _environment(root: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("CONDOR_CONFIG", STATE_VARIABLE)}
    return {**kept, "DYNAMO_CONFIG": str(root / "dynamo.toml")}


def _command(root: Path, environment: Mapping[str, str], module: str, *words: str) -> None:
    done = subprocess.run(
        _words(module, *words), cwd=root, env=dict(environment), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: {done.stderr.strip()}")


def _start(root: Path, environment: Mapping[str, str], log: str, module: str, *words: str) -> subprocess.Popen[bytes]:
    with (root / f"{log}.log").open("wb") as stream:
        return subprocess.Popen(_words(module, *words), cwd=root, env=dict(environment), stdout=stream, stderr=stream)


def _words(module: str, *words: str) -> list[str]:
    call = "from dynamo.cli.fleet.main import main; main()"
    return [sys.executable, *(["-m", "dynamo"] if module == "dynamo" else ["-c", call]), *words]


def _end(root: Path, environment: Mapping[str, str], processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in reversed(processes):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in reversed(processes):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(40)
        if process.poll() is None:
            process.kill()
    subprocess.run(
        _words("dynamo.cli.fleet.main", "destroy", "--yes", "--now"),
        cwd=root,
        env=dict(environment),
        capture_output=True,
        check=False,
        timeout=120,
    )


def _keep(root: Path, out: Path) -> None:
    """Keep the store and the logs: the simulator is compared with them."""
    for path in root.glob("*.log"):
        shutil.copy(path, out)
    with (
        contextlib.closing(sqlite3.connect(root / "state" / "store.sqlite")) as store,
        contextlib.closing(sqlite3.connect(out / "storm_day.sqlite")) as kept,
    ):
        store.backup(kept)


# ---- looking -------------------------------------------------------------------------------------------------------


def _wait(condition: Any, timeout_s: float, what: str) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {timeout_s:.0f} s")
        time.sleep(0.3)


def _now(store: Store) -> tuple[Counter[str], int, int]:
    """Return living workers by state, arrivals, and runs that are not over."""
    with store.reading() as session:
        rows = session.execute(select(Worker.state, func.count()).group_by(Worker.state)).all()
        arrivals = session.scalar(select(func.count()).select_from(Arrival)) or 0
        over = ("succeeded", "failed", "cancelled", "skipped")
        unfinished = session.scalar(select(func.count()).where(Run.state.not_in(over))) or 0
    final = {state.value for state in FINAL}
    return Counter({state: count for state, count in rows if state not in final}), arrivals, unfinished


def _sample(store: Store, start: float, samples: list[Sample], stop: threading.Event) -> None:
    while not stop.wait(1.0):
        try:
            counts, _, unfinished = _now(store)
            with store.reading() as session:
                state = read_state(session, FLEET)
                busy = session.scalar(select(func.sum(Worker.busy_cpus)).where(Worker.ended_at.is_(None))) or 0
        except DynamoError:
            continue
        coming = counts["requested"] + counts["booting"] + counts["joining"]
        samples.append(
            Sample(
                at_s=round(time.monotonic() - start, 2),
                ready=counts["ready"],
                coming=coming,
                leaving=sum(counts.values()) - counts["ready"] - coming,
                busy=int(busy),
                wanted=0 if state is None else sum(state.wanted.values()),
                demand={} if state is None else dict(state.demand_core_s),
                waiting=unfinished,
            )
        )


def _counts(outcome: Outcome) -> str:
    states = Counter(run["state"] for run in outcome.runs)
    return f"{outcome.files} / {states['succeeded']} / {states['skipped']}"


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--beat", type=float, default=4.5, help="seconds for a minute of data")
    parser.add_argument("--workers", type=int, default=5, help="most workers")
    parser.add_argument("--out", type=Path, help="folder for the figure and JSON")
    parser.add_argument("--json", type=Path, help="write the table there")
    options = parser.parse_args()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    tables = run(beat_s=options.beat, workers=options.workers, out=options.out)
    if options.json:
        save(options.json, tables)


if __name__ == "__main__":
    _main()
