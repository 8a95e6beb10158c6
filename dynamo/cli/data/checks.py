"""`dynamo checks`: what is checked, the checks of a file, and what was found in the data of runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_runs
from dynamo.cli.console import out, print_json
from dynamo.cli.options import FeedOption, TriggerOption, WideOption, choose, past, state_option
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import extra, named, print_table, prose, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.checks.model import Check

#: Exit code of `run` if data failed a check, so that scripts can tell.
_FAILED = 1
_FLAGS = {1: "good", 2: "not evaluated", 3: "suspect", 4: "bad", 9: "missing"}
#: What is kept of results: all that was not good.
_STATES = tuple(_FLAGS[flag] for flag in (3, 4, 9))


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True,
        help="Check data for damage. Flags are QARTOD's: 1 good, 2 not evaluated, 3 suspect, 4 bad, 9 missing.",
    )
    group.command("list")(list_checks)
    group.command("run")(run)
    group.command("results")(results)
    app.add_typer(group, name="checks")


def list_checks(config: Path | None = ConfigOption, wide: bool = WideOption, as_json: bool = JsonOption) -> None:
    """List all checks with their limits, as `[checks.NAME]` of the configuration sets them."""
    from dynamo.checks.listing import configured_checks
    from dynamo.config.file import find_config

    found = configured_checks(find_config(config))
    if as_json:
        print_json([item.to_json() for item in found])
        return
    # A table for each subject, so that descriptions have room in a terminal of 80 columns.
    for subject in dict.fromkeys(item.check.subject for item in found):
        print_table(
            f"Of a {subject}",
            ("check", "", "suspect, bad", prose("what it measures")),
            [
                (item.name, _severity(item.check, item.enabled), _limits(item.check), item.check.description)
                for item in found
                if item.check.subject == subject
            ],
            whole=wide,
        )
    out.print("block: nothing is published that was made from bad data.")
    out.print("sd: standard deviations from the usual value.")


def run(
    files: list[Path] = typer.Argument(metavar="FILE...", help="A file, or the files of one volume."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Check a radar file, a composite, a nowcast, or GeoJSON; exit with 1 if it is bad.

    Nothing is stored. Compared with history are only files of series that the store knows.
    """
    from dynamo.checks.files import examine_file
    from dynamo.checks.judging import SeriesMemory, judge
    from dynamo.checks.model import Flag
    from dynamo.checks.record import known
    from dynamo.config.file import find_config
    from dynamo.runs.setup import check_rules

    settings = find_config(config)
    examination = examine_file(files[0] if len(files) == 1 else files)
    memory = SeriesMemory()
    if not isinstance(settings.store_url, Path) or settings.store_url.is_file():
        from dynamo.store.engine import open_store

        store = open_store(settings.store_url)
        with store.reading() as session:
            memory = known(session, examination)
        store.close()
    verdicts = judge(examination, memory, check_rules(settings))
    shown = [verdict for verdict in verdicts if verdict.flag not in (Flag.GOOD, Flag.NOT_EVALUATED)]
    if as_json:
        print_json(
            {
                "file": examination.file,
                "series": examination.series,
                "valid_at": examination.valid_at,
                "checks": [{**vars(verdict), "flag": int(verdict.flag)} for verdict in verdicts],
            }
        )
    else:
        good = sum(verdict.flag == Flag.GOOD for verdict in verdicts)
        if shown:
            print_table("", ("check", "flag", "value", "limit", prose("place")), [_shown(verdict) for verdict in shown])
        unknown = len(verdicts) - good - len(shown)
        out.print(f"{examination.file}: {good} good, {unknown} not evaluated, {len(shown)} not good", markup=False)
    if any(verdict.flag in (Flag.BAD, Flag.MISSING) for verdict in verdicts):
        raise typer.Exit(_FAILED)


def results(
    since: str = typer.Option(
        "24h", metavar="TIME", help="Nothing older: an age such as 90min or 7d, or an ISO 8601 time."
    ),
    series: str = typer.Option("", "--series", help="Only this radar or source."),
    run_id: str = typer.Option("", "--run", metavar="RUN", help="Only this run.", autocompletion=complete_runs),
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    state: list[str] = state_option(_STATES, "what is"),
    limit: int = typer.Option(100, min=1, max=100_000, help="Show at most this many, newest first."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show what was not good in the data of runs, newest first, and how often all was."""
    from sqlalchemy import select

    from dynamo.config.file import find_config
    from dynamo.runs.ledger import find_run
    from dynamo.store.checks import CheckDay, CheckResult
    from dynamo.store.engine import open_store
    from dynamo.store.models import Run
    from dynamo.times import to_iso, utc_now

    chosen = choose(feed=feed, trigger=trigger, states=state, known=_STATES)
    flags = [flag for flag, word in _FLAGS.items() if word in chosen.states]
    earliest = past(since, utc_now(), where="--since")
    store = open_store(find_config(config).store_url)
    with store.reading() as session:
        query = select(CheckResult).order_by(CheckResult.id.desc()).limit(limit)
        if run_id:
            query = query.where(CheckResult.run_id == find_run(session, run_id).id)
        else:
            query = query.where(CheckResult.time >= earliest)
        if of_runs := replace(chosen, states=()).of_runs():
            query = query.where(select(Run.id).where(Run.id == CheckResult.run_id, *of_runs).exists())
        if flags:
            query = query.where(CheckResult.flag.in_(flags))
        days = select(CheckDay).where(CheckDay.day >= f"{earliest:%Y-%m-%d}").order_by(CheckDay.series, CheckDay.day)
        if series:
            query, days = query.where(CheckResult.series == series), days.where(CheckDay.series == series)
        rows = session.scalars(query).all()
        counts = [] if run_id or chosen else session.scalars(days).all()
    store.close()
    if as_json:
        names = ("run_id", "series", "file", "check", "severity", "flag", "value", "limit", "place")
        numbers = ("series", "day", "good", "unknown", "suspect", "bad", "missing")
        print_json(
            {
                "results": [{**{name: getattr(row, name) for name in names}, "time": to_iso(row.time)} for row in rows],
                "days": [{name: getattr(row, name) for name in numbers} for row in counts],
            }
        )
        return
    if rows:
        print_table(
            "",
            ("time", "run", named("series"), "check", "flag", extra("value"), worded("place")),
            [
                (
                    row.time,
                    row.run_id,
                    row.series,
                    row.check,
                    _FLAGS.get(row.flag, row.flag),
                    _number(row.value),
                    row.place,
                )
                for row in rows
            ],
            whole=wide,
        )
    else:
        out.print("Nothing that was not good.")
    if counts:
        print_table(
            "",
            (named("series"), "day", "good", "not evaluated", "suspect", "bad", "missing"),
            [(row.series, row.day, row.good, row.unknown, row.suspect, row.bad, row.missing) for row in counts],
            whole=wide,
        )


def _shown(verdict: Any) -> tuple[str, str, str, str, str]:
    flag = _FLAGS[int(verdict.flag)] + (" (blocks)" if verdict.blocks else "")
    return verdict.check, flag, _number(verdict.value), _number(verdict.limit), verdict.place


def _severity(check: Check, on: bool) -> str:
    return check.severity if on else "off"


def _limits(check: Check) -> str:
    """Return both limits, such as ``> 2, 10 deg``; one that is never bad has one."""
    sign, unit = "<" if check.low else ">", "sd" if check.usual is not None else check.unit.replace("1", "", 1)
    known = ", ".join(f"{value:g}" for value in (check.suspect, check.fail) if value is not None)
    return f"{sign} {known} {unit}".strip()


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
