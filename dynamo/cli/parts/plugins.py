"""`dynamo plugins`: list all parts available to documents and configurations, with their packages."""

from __future__ import annotations

import typer


def plugins(
    check: bool = typer.Option(False, "--check", help="Exit with code 5 if any part is broken."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List all parts with the packages they come from, and any problems.

    Parts are modules, feeds, triggers, engines, site drivers, policies and channels. docs/howto/plugins.md says how to
    add one.
    All are imported, so broken ones show up here before a run needs them.
    """
    from dataclasses import asdict

    from dynamo.cli.console import err, print_json
    from dynamo.cli.tables import named, print_table
    from dynamo.doors import doors

    found = [(door, part) for door in doors() for part in door.listed()]
    broken = [(door, part) for door, part in found if part.problem]
    if as_json:
        print_json([{"part": door.word, "group": door.group, **asdict(part)} for door, part in found])
    else:
        good = ((door.word, part.name, part.origin) for door, part in found if not part.problem)
        print_table("", ("part", named("name"), named("from")), good)
        for door, part in broken:
            err.print(f"{door.word} {part.name} of {part.origin} cannot be used: {part.problem}", markup=False)
    if check and broken:
        raise typer.Exit(5)


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("plugins")(plugins)
