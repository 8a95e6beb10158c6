"""`dynamo triggers`: list triggers with their next runs; pause and resume one."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_triggers
from dynamo.cli.console import out, print_json
from dynamo.cli.options import FeedOption, WideOption, choose, state_option
from dynamo.cli.tables import Column, named, print_table, when, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.config.file import Config
    from dynamo.store.engine import Store

JsonOption = typer.Option(False, "--json", help="Print JSON.")
TriggerArgument = typer.Argument(
    help="Name of a trigger in the configuration.", metavar="TRIGGER", autocompletion=complete_triggers
)

_STATES = ("active", "paused")
StateOption = state_option(_STATES)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="List triggers with their next runs; pause and resume one.")
    group.command("list")(list_triggers)
    group.command("pause")(pause)
    group.command("resume")(resume)
    app.add_typer(group, name="triggers")


def list_triggers(
    feed: str | None = FeedOption,
    state: list[str] = StateOption,
    config: Path | None = ConfigOption,
    count: int = typer.Option(1, "--next", "-n", min=1, max=1000, help="Show the next N runs of each schedule."),
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List the configured triggers: what starts them, whether they are paused, their last run and next runs.

    Only schedules have next runs; other triggers start when files arrive.
    """
    from dynamo.config.file import find_config
    from dynamo.doors import TRIGGERS
    from dynamo.times import to_iso, utc_now

    settings = find_config(config)
    paused, last = _stored(settings)
    now = utc_now()
    data: list[dict[str, Any]] = []
    for section in settings.triggers:
        with TRIGGERS.blamed(section.kind):
            upcoming = list(islice(TRIGGERS.load(section.kind).make(section, settings).upcoming(now), count))
        data.append(
            {
                "name": section.name,
                "kind": section.kind,
                "feed": section.feed,
                "workflow": section.workflow,
                "state": "paused" if section.name in paused else "active",
                "paused": str(paused.get(section.name, "")),
                "last_run": last.get(section.name),
                "next": [to_iso(time) for time in upcoming],
            }
        )
    chosen = choose(feed=feed, states=state, known=_STATES)
    data = [item for item in data if (feed is None or item["feed"] == feed) and (not state or item["state"] in state)]
    if as_json:
        print_json(data)
        return
    where = _named(config, settings)
    columns = (
        named("trigger"),
        Column("kind", wide=True),
        named("feed"),
        named("workflow"),
        "last run",
        "next",
        "state",
        worded("why"),
    )
    rows = [
        (
            item["name"],
            item["kind"],
            item["feed"],
            item["workflow"],
            when(item["last_run"]),
            [when(time) for time in item["next"]],
            item["state"],
            item["paused"].removeprefix("paused "),
        )
        for item in data
    ]
    print_table("", columns, rows, empty=chosen.none("[[triggers]]", where, config), whole=wide)


def pause(
    name: str = TriggerArgument,
    reason: str = typer.Option("", "--reason", help="Reason to record and to show in lists."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Pause a trigger: it judges files, but starts no runs until `dynamo triggers resume`.

    A running daemon obeys at once. Runs that exist go on. Exit code 4 for an unknown trigger.
    """
    from dynamo.times import utc_now
    from dynamo.triggers import pausing

    store = _store(config, name)
    with store.transaction() as session:
        new = pausing.pause(session, name, reason, utc_now())
        found = pausing.pause_of(session, name)
    store.close()
    _tell(name, str(found), new, as_json)


def resume(name: str = TriggerArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Let a paused trigger start runs again, from the next file or time on; what it left out is not made up for."""
    from dynamo.triggers import pausing

    store = _store(config, name)
    with store.transaction() as session:
        was_paused = pausing.resume(session, name)
    store.close()
    _tell(name, "active", was_paused, as_json)


def _named(config: Path | None, settings: Config) -> str:
    """Return the configuration file in use, or say that there is none."""
    import os

    from dynamo.config.file import ENVIRONMENT
    from dynamo.config.project import CONFIG_FILE

    named = config or os.environ.get(ENVIRONMENT)
    file = Path(named) if named else settings.base / CONFIG_FILE
    return str(file) if file.is_file() else f"the built-in defaults: no {CONFIG_FILE} in this folder or above"


def _tell(name: str, state: str, changed: bool, as_json: bool) -> None:
    if as_json:
        print_json({"trigger": name, "state": state.partition(" ")[0], "changed": changed})
        return
    out.print(f"trigger {name}: {state}{'' if changed else ' (as before)'}", markup=False)


def _store(config: Path | None, name: str) -> Store:
    from dynamo.config.file import find_config
    from dynamo.documents.problems import unknown
    from dynamo.errors import NotFoundError
    from dynamo.store.engine import open_store

    settings = find_config(config)
    known = [section.name for section in settings.triggers]
    if name not in known:
        raise unknown(NotFoundError, "trigger", name, known, where=config or settings.base)
    return open_store(settings.store_url)


def _stored(settings: Config) -> tuple[dict[str, Any], dict[str, str]]:
    """Return pauses and the time of the last run by trigger; nothing where there is no store yet."""
    from sqlalchemy import func, select

    from dynamo.errors import NotFoundError
    from dynamo.store.engine import existing_store
    from dynamo.store.models import Run
    from dynamo.times import to_iso
    from dynamo.triggers.pausing import pauses

    try:
        store = existing_store(settings.store_url)
    except NotFoundError:
        return {}, {}
    try:
        with store.reading() as session:
            times = session.execute(select(Run.trigger, func.max(Run.created_at)).group_by(Run.trigger)).all()
            return pauses(session), {name: to_iso(time) for name, time in times if time is not None}
    finally:
        store.close()
