"""`dynamo products`: list, verify and repair what was published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.console import err, out, print_json, progress
from dynamo.cli.options import (
    Chosen,
    FeedOption,
    RadarOption,
    SinceOption,
    TriggerOption,
    WideOption,
    WorkflowOption,
    choose,
    completing,
)
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import Column, extra, located, print_table, worded
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.archive.listing import ProductFilter
    from dynamo.archive.verify import Damage
    from dynamo.config.file import Config
    from dynamo.store.engine import Store

TIERS = ("hot", "warm")
#: Files are not what they were: bad input for whoever reads them.
_DAMAGED = 3


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="List, verify and repair published products.")
    group.command("list")(list_)
    group.command("verify")(verify)
    group.command("repair")(repair)
    app.add_typer(group, name="products")


def list_(
    since: str | None = SinceOption,
    workflow: str | None = WorkflowOption,
    feed: str | None = FeedOption,
    trigger: str | None = TriggerOption,
    tier: str | None = typer.Option(
        None, "--tier", help="Only products that are hot (local) or warm.", autocompletion=completing(TIERS)
    ),
    radar: str | None = RadarOption,
    limit: int = typer.Option(100, "--limit", "-n", min=1, max=1_000_000, help="Show at most N, newest first."),
    config: Path | None = ConfigOption,
    wide: bool = WideOption,
    as_json: bool = JsonOption,
) -> None:
    """List published files, the newest publication first, wherever they are now.

    `dynamo products list --since 1h` is what came in the last hour. A file moved to the warm tier keeps its place in
    the list, with its new path. --json adds checksums, valid times and leads.
    """
    from dynamo.archive.listing import list_products, listed_json
    from dynamo.store.engine import existing_store

    chosen = choose(since=since, feed=feed, trigger=trigger, workflow=workflow, radar=radar)
    which = _filter(chosen, tier)
    store = existing_store(_settings(config).store_url)
    with store.reading() as session:
        found = list_products(session, which, limit)
    store.close()
    if as_json:
        print_json([listed_json(product, run) for product, run in found])
        return
    empty = chosen.none("products", store.url, config)
    if tier and not chosen:
        empty = f"no {tier} products in {store.url}"
    print_table(
        "",
        (
            "published",
            "run",
            extra("radar"),
            "valid",
            "bytes",
            Column("workflow", wide=True),
            Column("tier", wide=True),
            located("product"),
        ),
        [
            (
                run.published_at,
                run.id,
                run.radar,
                product.valid_at or run.valid_at,
                product.bytes,
                run.workflow,
                run.tier,
                product.path if wide else product.lfn,
            )
            for product, run in found
        ],
        empty=empty,
        whole=wide,
    )
    if found and len(found) == limit:
        err.print(f"only the newest {limit}: --limit shows more", markup=False)


def verify(
    since: str | None = SinceOption,
    workflow: str | None = WorkflowOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Read every published file and compare it with the checksums in the store and in its index.

    Reports what is missing, changed, or extra (not published by DyNamo); without --since and --workflow also product
    folders that no run in the store published. Repairs nothing: `dynamo runs retry RUN` makes products again.

    Exit codes: 0 all as published; 3 if anything is not.
    """
    from dynamo.store.engine import existing_store

    which, settings = _filter(choose(since=since, workflow=workflow), None), _settings(config)
    store = existing_store(settings.store_url)
    try:
        publications, files, findings = _verified(store, settings, which, quiet=as_json)
    finally:
        store.close()
    if as_json:
        wrong = [
            {"run": item.run, "path": item.path, "problem": item.problem, "detail": item.detail} for item in findings
        ]
        print_json({"publications": publications, "files": files, "wrong": wrong})
    else:
        if findings:
            print_table(
                "",
                ("run", "problem", worded("detail"), located("path")),
                [(f.run, f.problem, f.detail, f.path) for f in findings],
            )
        state = f"{len(findings)} not as published" if findings else "all as published"
        out.print(f"{publications} publications, {files} files: {state}", markup=False)
    if findings:
        raise typer.Exit(_DAMAGED)


def _verified(store: Store, settings: Config, which: ProductFilter, *, quiet: bool) -> tuple[int, int, list[Damage]]:
    """Return how many publications and files were read, and what is wrong."""
    from dynamo.archive.listing import ProductFilter
    from dynamo.archive.verify import count_publications, strays
    from dynamo.archive.verify import verify as read_all

    publications = files = 0
    findings: list[Damage] = []
    with progress() as bar:
        bar.disable = quiet or not err.is_terminal
        task = bar.add_task("publications", total=count_publications(store, which))
        for item in read_all(store, which):
            publications, files = publications + 1, files + item.files
            findings += item.findings
            bar.advance(task)
        if which == ProductFilter():
            findings += strays(settings.products_dir, store)
    return publications, files, findings


def _filter(chosen: Chosen, tier: str | None) -> ProductFilter:
    from dynamo.archive.listing import ProductFilter
    from dynamo.documents.problems import unknown
    from dynamo.errors import UsageError

    if tier is not None and tier not in TIERS:
        raise unknown(UsageError, "tier", tier, TIERS, where="--tier")
    return ProductFilter(
        since=chosen.since,
        workflow=chosen.workflow,
        tier=tier,
        radar=chosen.radar,
        feed=chosen.feed,
        trigger=chosen.trigger,
    )


def _settings(config: Path | None) -> Config:
    from dynamo.config.file import find_config

    return find_config(config)


def repair(
    workflows: list[str] = typer.Argument(
        [], metavar="WORKFLOW", show_default=False, help="Workflows; all by default."
    ),
    dry: bool = typer.Option(False, "--dry-run", help="Only say what would change."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Point each workflow's `latest` to its newest complete products whose time is not ahead of the clock."""
    from dynamo.config.file import find_config
    from dynamo.errors import NotFoundError
    from dynamo.runs.ledger import decide
    from dynamo.runs.publish import repair_latest
    from dynamo.store.engine import open_store

    settings = find_config(config)
    there = sorted(folder.name for folder in settings.products_dir.glob("[!.]*") if folder.is_dir())
    for name in workflows:
        if name not in there:
            raise NotFoundError(
                f"no products of workflow {name!r:.80}", where=settings.products_dir, expected=", ".join(there) or None
            )
    links = {name: repair_latest(settings.products_dir / name, dry=dry) for name in workflows or there}
    changed = {name: link for name, link in links.items() if link.before != link.after}
    if changed and not dry:
        store = open_store(settings.store_url)
        with store.transaction() as session:
            for name, link in changed.items():
                reason = f"from {link.before or 'nowhere'} to {link.after or 'nowhere'}"
                decide(session, f"latest {name}", "repair", reason, before=link.before, after=link.after)
        store.close()
    if as_json:
        print_json([{"workflow": name, "before": link.before, "after": link.after} for name, link in links.items()])
        return
    if not links:
        out.print(f"{settings.products_dir}: no products", markup=False)
    for name, link in links.items():
        if name not in changed:
            out.print(f"{name}: latest is right: {link.after or 'nothing to point to'}", markup=False)
            continue
        verb = "would point" if dry else "points"
        out.print(f"{name}: latest {verb} to {link.after or 'nothing'}, not {link.before or 'nothing'}", markup=False)
