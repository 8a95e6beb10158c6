"""`dynamo assets`: what data there are, what is missing, and what was made from what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.completion import complete_assets
from dynamo.cli.console import err, out, print_json
from dynamo.cli.options import FeedOption, RadarOption, SinceOption, TriggerOption, WideOption, since_of
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import extra, named, print_table, right
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dynamo.assets.coverage import Gap
    from dynamo.assets.lineage import Node
    from dynamo.assets.model import Asset
    from dynamo.store.models import Series

NameArgument = typer.Argument(
    metavar="ASSET",
    help="Name of the asset, as `dynamo assets list` shows it.",
    autocompletion=complete_assets,
)
UntilOption = typer.Option(None, "--until", metavar="WHEN", help="End of the range, like --since. Default: now.")
VariantOption = typer.Option("", "--as", metavar="NAME", help="Data published beside the current ones under NAME.")
#: Range of `gaps` and of the history in `show` if none is given.
_DAY = timedelta(days=1)
_SHOWN = 20
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="What data there are, what is missing, what was made from what.")
    group.command("list")(list_assets)
    group.command("show")(show)
    group.command("gaps")(gaps)
    group.command("lineage")(lineage)
    app.add_typer(group, name="assets")


@dataclass(frozen=True)
class _Opened:
    session: Session
    assets: Sequence[Asset]


def list_assets(
    radar: str | None = RadarOption,
    since: str | None = SinceOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    variant: str = VariantOption,
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List feeds and workflow outputs with their newest data.

    SLOTS counts valid times of all radars, each once however often it was made. All outputs of a workflow are published
    together, so they share their counts.
    """
    from dynamo.assets.coverage import count_between, series_of
    from dynamo.times import utc_now

    begin = since_of(since)
    chosen = bool(radar or begin or variant or trigger)
    with _opened(config) as opened:
        found = []
        for asset in opened.assets:
            if feed is not None and feed not in (asset.name, *asset.made_from):
                continue
            series = series_of(opened.session, asset, radar=radar, variant=variant)
            if trigger is not None:
                series = [one for one in series if one.trigger == trigger]
            counts = {
                one.id: one.slots if begin is None else count_between(opened.session, one, begin, utc_now())
                for one in series
            }
            kept = [one for one in series if begin is None or counts[one.id]]
            if kept or not chosen:
                found.append((asset, kept, counts))
    if as_json:
        print_json(
            [
                {**_asset_json(asset), "series": [_series_json(one, counts[one.id]) for one in series]}
                for asset, series, counts in found
            ]
        )
        return
    print_table(
        "",
        (named("asset"), extra("radars"), "slots", "newest", right("size")),
        [
            (
                asset.name,
                _radars(series),
                sum(counts[one.id] for one in series),
                max((one.newest_at for one in series), default=None),
                _size(sum(one.bytes for one in series)),
            )
            for asset, series, counts in found
        ],
        empty="no data of that kind" if chosen or feed else "no feed, workflow, or run yet",
        whole=wide,
    )


def show(
    name: str = NameArgument,
    radar: str | None = RadarOption,
    since: str | None = SinceOption,
    variant: str = VariantOption,
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show an asset: what it is made from, its counts by radar, and how its newest partitions were made."""
    from dynamo.assets.catalog import find_asset
    from dynamo.assets.coverage import cadence_of, series_of
    from dynamo.assets.history import history_of

    begin = since_of(since)
    with _opened(config) as opened:
        asset = find_asset(opened.assets, name)
        series = series_of(opened.session, asset, radar=radar, variant=variant)
        cadences = {one.id: asset.cadence_s or cadence_of(opened.session, one) for one in series}
        history = history_of(opened.session, series, since=begin, limit=_SHOWN)
    if as_json:
        counts = [{**_series_json(one, one.slots), "cadence_s": cadences[one.id]} for one in series]
        print_json({**_asset_json(asset), "series": counts, "history": [vars(item) for item in history]})
        return
    out.print(asset.name, style="bold", markup=False)
    for label, text in (
        ("what", asset.description),
        ("of", "" if asset.of == asset.name else asset.of),
        ("owner", asset.owner),
        ("made from", ", ".join(asset.made_from)),
        ("dimensions", ", ".join(asset.dimensions).replace("_", " ")),
    ):
        if text:
            out.print(f"  {label:<11} {text}", markup=False)
    print_table(
        "",
        ("radar", "slots", "made", "every", extra("oldest"), "newest", right("size")),
        [
            (
                one.radar or "-",
                one.slots,
                one.made,
                _every(cadences[one.id]),
                one.oldest_at,
                one.newest_at,
                _size(one.bytes),
            )
            for one in series
        ],
        empty="no data yet",
        whole=wide,
    )
    if history:
        rows = [
            (
                item.valid_at,
                item.radar or "-",
                item.standing,
                item.origin,
                item.name,
                item.made_at,
            )
            for item in history
        ]
        print_table(
            "newest first",
            ("valid", "radar", "standing", extra("by"), named("file") if asset.is_feed else "run", extra("made")),
            rows,
            whole=wide,
        )


def gaps(
    name: str = NameArgument,
    radar: str | None = RadarOption,
    since: str | None = SinceOption,
    until: str | None = UntilOption,
    variant: str = VariantOption,
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """Show where valid times are missing; the last day by default.

    The cadence is that of `cadence_s` in the asset's declaration, otherwise the usual step of the newest data. Data
    that nobody expected, such as hail products on a quiet day, count as missing here: this is about what is there.
    """
    from dynamo.assets.catalog import find_asset
    from dynamo.assets.coverage import cadence_of, gaps_between, series_of, valid_times
    from dynamo.errors import UsageError
    from dynamo.times import to_iso, utc_now

    end = since_of(until, "--until") or utc_now()
    begin = since_of(since) or end - _DAY
    if begin >= end:
        raise UsageError("the range ends before it begins", where="--since", expected=f"a time before {to_iso(end)}")
    found: list[tuple[Series, float | None, list[Gap], int]] = []
    with _opened(config) as opened:
        asset = find_asset(opened.assets, name)
        for one in series_of(opened.session, asset, radar=radar, variant=variant):
            cadence = asset.cadence_s or cadence_of(opened.session, one)
            times = valid_times(opened.session, one, begin, end)
            # Before its first data a series has no gap: nobody knows that it was there.
            first = max(begin, min(one.oldest_at, end))
            found.append((one, cadence, gaps_between(times, cadence, first, end) if cadence else [], len(times)))
    if as_json:
        print_json(
            [
                {
                    "radar": one.radar,
                    "trigger": one.trigger,
                    "cadence_s": cadence,
                    "slots": there,
                    "missing": sum(gap.missing for gap in several),
                    "gaps": [
                        {"begin": to_iso(gap.begin), "end": to_iso(gap.end), "missing": gap.missing} for gap in several
                    ],
                }
                for one, cadence, several, there in found
            ]
        )
        return
    if not found:
        err.print(f"{asset.name}: no data", markup=False)
    for one, cadence, several, there in found:
        who = " ".join(filter(None, (one.radar, one.trigger))) or asset.name
        missing = sum(gap.missing for gap in several)
        every = f"every {_every(cadence)}" if cadence else "cadence unknown: fewer than three valid times"
        out.print(f"{who}: {there} there, {missing} missing ({every})", markup=False)
        if several:
            rows = [(gap.begin, gap.end, gap.missing) for gap in several]
            print_table("", ("from", "to", "missing"), rows, whole=wide)


def lineage(
    file: str = typer.Argument(metavar="FILE", help="A product, or a file that runs have read; copies are known, too."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Show what a file was made from, and everything that was made from it."""
    from rich.text import Text
    from rich.tree import Tree

    from dynamo.assets.lineage import lineage_json, lineage_of
    from dynamo.cli.stores import look
    from dynamo.texts import visible

    store = look(config)
    with store.reading() as session:
        found = lineage_of(session, file)
    store.close()
    if as_json:
        print_json(lineage_json(found))
        return

    def label(node: Node) -> Text:
        there = "" if node.facts.get("there", True) else " (gone)"
        return Text(visible(f"{node.role} {Path(node.path).name}{there}  {node.sha256[:12]}"))

    def up(node: Node, tree: Tree) -> None:
        if node.run is None:
            for fact in ("feed", "valid_at", "port"):
                if node.facts.get(fact):
                    tree.add(Text(visible(f"{fact.replace('_at', '')}: {node.facts[fact]}"), style="dim"))
            return
        run = tree.add(Text(visible(_run_line(node.run))))
        run.add(Text(visible(_versions(node.run)), style="dim"))
        for item in node.files:
            up(item, run.add(label(item)))

    def down(nodes: Sequence[Node], tree: Tree) -> None:
        for node in nodes:
            run = tree.add(Text(visible(_run_line(node.run or {}))))
            for item in node.files[:_SHOWN]:
                down(item.files, run.add(label(item)))
            if len(node.files) > _SHOWN:
                run.add(Text(f"and {len(node.files) - _SHOWN} more (--json has all)", style="dim"))

    made_from = Tree(label(found.file))
    up(found.file, made_from)
    out.print(made_from, soft_wrap=False)
    if found.made:
        into = Tree(Text("read by", style="bold"))
        down(found.made, into)
        out.print(into, soft_wrap=False)


@contextlib.contextmanager
def _opened(config: Path | None) -> Iterator[_Opened]:
    from dynamo.assets.catalog import assets_of
    from dynamo.cli.stores import look
    from dynamo.config.file import find_config
    from dynamo.runs.setup import make_planner

    settings, store = find_config(config), look(config)
    try:
        with store.reading() as session:
            yield _Opened(session, assets_of(settings, make_planner(settings), session))
    finally:
        store.close()


def _asset_json(asset: Asset) -> dict[str, Any]:
    return {**vars(asset), "of": asset.of}


def _series_json(series: Series, slots: int) -> dict[str, Any]:
    return {
        "radar": series.radar,
        "trigger": series.trigger,
        "variant": series.variant,
        "slots": slots,
        "made": series.made,
        "bytes": series.bytes,
        "oldest_at": series.oldest_at,
        "newest_at": series.newest_at,
        "live_at": series.live_at,
        "heard_at": series.heard_at,
    }


def _radars(series: Sequence[Series]) -> str:
    names = sorted({one.radar for one in series if one.radar})
    return ", ".join(names) if len(names) <= 2 else f"{len(names)} radars"


def _run_line(run: dict[str, Any]) -> str:
    words = [f"run {run['id']}", run["workflow"], run["version"], run["state"], run["standing"]]
    return " ".join(filter(None, words)) + (f" by {run['trigger']}" if run["trigger"] else "")


def _versions(run: dict[str, Any]) -> str:
    modules = ", ".join(f"{name} {version}" for name, version in run["modules"].items())
    parameters = ", ".join(f"{name}={value}" for name, value in run["parameters"].items())
    texts = [run["software"], f"document {run['document_sha256'][:12]}", modules and f"modules {modules}", parameters]
    return "; ".join(filter(None, texts))


def _every(seconds: float | None) -> str:
    from dynamo.times import in_words

    return "?" if seconds is None else in_words(timedelta(seconds=seconds))


def _size(count: int) -> str:
    size = float(count)
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError
