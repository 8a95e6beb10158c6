"""`dynamo quarantine`: look at files that were refused and runs that were kept back; release them, or drop them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_waiting
from dynamo.cli.console import err, out, print_json
from dynamo.cli.options import FeedOption, SinceOption, TriggerOption, WideOption, choose, completing
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import located, named, print_table, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.config.file import Config
    from dynamo.store.engine import Store
    from dynamo.watch.waiting import Waiting

NumberArgument = typer.Argument(
    metavar="NUMBER|RUN", help="Number or run in `dynamo quarantine list`.", autocompletion=complete_waiting
)
_STATES = ("quarantined", "released", "dropped")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True, help="Look at refused files, and at runs that checks kept back; release or drop them."
    )
    group.command("list")(list_)
    group.command("show")(show)
    group.command("release")(release)
    group.command("drop")(drop)
    app.add_typer(group, name="quarantine")


def list_(
    state: str = typer.Option(
        _STATES[0],
        "--state",
        "-s",
        help="quarantined, released (not examined yet) or dropped.",
        autocompletion=completing(_STATES),
    ),
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    limit: int = typer.Option(20, "--limit", "-n", min=1, max=100_000, help="Show at most N, newest first."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List the files that intake refused, and the runs that a check kept from being published; newest first."""
    from dynamo.watch.quarantined import waiting

    chosen = choose(since=since, feed=feed, trigger=trigger, states=[state], known=_STATES)
    _, store = _opened(config)
    with store.reading() as session:
        found = waiting(session, state, limit, feed, chosen.since, trigger)
    store.close()
    if as_json:
        print_json([item.as_json() for item in found])
        return
    print_table(
        "",
        ("number, run", "since", named("from"), worded("why"), located("file")),
        [
            (item.id, item.since, item.source, item.reason, item.path if wide else Path(item.path).name)
            for item in found
        ],
        empty=replace(chosen, states=()).none(f"{state} files or runs", store.url, config),
        whole=wide,
    )


def show(
    number: str = NumberArgument,
    out_file: Path | None = typer.Option(
        None, "--out", "-o", metavar="FILE", help="Write the picture here. Default: in the quarantine folder."
    ),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Show why a file was refused or a run kept back, and draw what can be read of the file as a PNG.

    The file is read in a process of its own with limits, as on arrival: it may be hostile. What cannot be read as a
    product is drawn in greys, as far as it holds any grid of numbers.
    """
    from dynamo.inspection.facts import facts_from_json, in_words
    from dynamo.watch.quarantined import find_waiting

    settings, store = _opened(config)
    with store.reading() as session:
        item = find_waiting(session, number)
    store.close()
    name = Path(item.path).name if item.kind == "file" else f"{item.id}-{Path(item.path).name}"
    facts = {**item.as_json(), **_looked_at(item, out_file or settings.quarantine_dir / f"{name}.png")}
    if as_json:
        print_json(facts)
        return
    if "holds" in facts:
        facts["holds"] = in_words(facts_from_json(facts["holds"]))
    if facts["at"] == facts["path"]:
        del facts["at"]
    for name, value in facts.items():
        if value not in (None, "", []):
            out.print(f"{name:9} {value}", markup=False)


def release(
    number: str = NumberArgument,
    reason: str = typer.Option("requested by user", "--reason", help="Reason to record with the decision."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Hand a refused file back to intake, which examines it once more; have a run published that was kept back.

    A file goes back to where it came from. A daemon that runs takes it within seconds, otherwise the next one does. If
    it is still bad it is refused again, with a reason of its own. A run is published once, as any other.
    """
    from dynamo.watch.decisions import release_waiting

    settings, store = _opened(config)
    try:
        item = release_waiting(settings, store, number, reason, config)
    finally:
        store.close()
    _answer(item, as_json)


def drop(
    number: str = NumberArgument,
    reason: str = typer.Option(..., "--reason", help="Why it is of no use; it stays on record."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Delete a refused file for good, or leave a run unpublished; the record of it stays, with the reason.

    A published product that another workflow refused is not deleted: only the record changes.
    """
    from dynamo.watch.decisions import drop_waiting

    settings, store = _opened(config)
    try:
        item = drop_waiting(settings, store, number, reason)
    finally:
        store.close()
    _answer(item, as_json)


def _looked_at(item: Waiting, goal: Path) -> dict[str, Any]:
    """Return what a refused file holds now and where its picture is, or why there is none."""
    from dynamo.errors import DynamoError
    from dynamo.files import write_bytes
    from dynamo.inspection import process
    from dynamo.inspection.facts import facts_to_json

    if item.at is None:
        return {"now": "the file is gone"}
    found: dict[str, Any] = {}
    try:
        found["holds"] = facts_to_json(process.inspect(item.at, ()))
    except (DynamoError, OSError) as error:
        found["now"] = str(error)
    try:
        picture = process.draw(item.at)
    except (DynamoError, OSError) as error:
        return {**found, "picture": None, "no_picture": str(error)}
    finally:
        process.close()
    write_bytes(goal, picture.png)
    return {**found, "picture": str(goal), "shows": picture.shows}


def _opened(config: Path | None) -> tuple[Config, Store]:
    from dynamo.config.file import find_config
    from dynamo.store.engine import existing_store

    settings = find_config(config)
    return settings, existing_store(settings.store_url)


def _answer(item: Waiting, as_json: bool) -> None:
    if as_json:
        print_json(item.as_json())
        return
    out.print(f"{item.id} {item.state}: {item.path}", markup=False)
    if item.kind == "file" and item.state == "dropped" and item.at is not None:
        err.print(f"{item.at} stays where it is: it is a published product", markup=False)
