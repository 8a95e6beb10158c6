"""`dynamo products`: look after what was published."""

from __future__ import annotations

from pathlib import Path

import typer

from dynamo.cli.console import out, print_json
from dynamo.cli.runs import JsonOption
from dynamo.cli.watch import ConfigOption


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Look after published products.")
    group.command("repair")(repair)
    app.add_typer(group, name="products")


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
