"""`dynamo-provision token`: manage access to the REST API."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import typer

from dynamo.cli.access.noting import note_command
from dynamo.cli.console import err, out, print_json
from dynamo.cli.fleet.common import JsonOption, opened
from dynamo.cli.options import WideOption
from dynamo.cli.tables import extra, named, print_table, worded
from dynamo.cli.watch import ConfigOption


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(no_args_is_help=True, help="Manage REST API tokens; the store keeps only their hashes.")
    group.command("create")(create)
    group.command("list")(list_all)
    group.command("revoke")(revoke)
    app.add_typer(group, name="token")


def create(
    name: str = typer.Argument(help="Token name."),
    scopes: list[str] = typer.Option(["read"], "--scope", help="read, submit, write, admin or ping (repeatable)."),
    user: str = typer.Option("", "--user", help="Whose it is; it may do no more than this user. Default: nobody's."),
    days: float | None = typer.Option(None, "--days", min=0.001, help="Expire after this many days. Default: never."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Create a token and print it, once only.

    Examples:

    `dynamo-provision token create dashboard --scope read --days 90`

    `dynamo-provision token create notebook --scope submit --user ada`: runs of a researcher, on that budget.

    `dynamo-provision token create cron --scope ping`: for jobs that report to `/ping/NAME`.
    """
    from dynamo.api.tokens import create_token
    from dynamo.times import to_iso, utc_now

    expires_at = None if days is None else utc_now() + timedelta(days=days)
    with opened(config, missing="create") as here, here.store.transaction() as session:
        token = create_token(session, name, scopes, expires_at, user=user)
        note_command(session, "dynamo-provision token create", name, scopes=" ".join(scopes), user=user)
    if as_json:
        expiry = None if expires_at is None else to_iso(expires_at)
        print_json({"name": name, "user": user, "token": token, "scopes": scopes, "expires_at": expiry})
        return
    err.print("shown only once; send it as `Authorization: Bearer TOKEN`:", markup=False)
    out.print(token, markup=False)


def list_all(config: Path | None = ConfigOption, wide: bool = WideOption, as_json: bool = JsonOption) -> None:
    """List tokens by name, with scopes and times; never the tokens themselves."""
    from dynamo.api.tokens import list_tokens

    with opened(config) as here, here.store.reading() as session:
        found = list_tokens(session)
    if as_json:
        print_json([token.to_json() for token in found])
        return
    print_table(
        "",
        (named("name"), extra("user"), worded("scopes"), extra("created"), "expires", "last used"),
        [
            (one.name, one.user, ", ".join(one.scopes), one.created_at, one.expires_at, one.last_used_at)
            for one in found
        ],
        empty="no tokens",
        whole=wide,
    )


def revoke(
    name: str = typer.Argument(help="Token name."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Revoke a token immediately."""
    from dynamo.api.tokens import revoke_token

    with opened(config) as here, here.store.transaction() as session:
        revoke_token(session, name)
        note_command(session, "dynamo-provision token revoke", name)
    if as_json:
        print_json({"name": name, "revoked": True})
        return
    out.print(f"{name} revoked", markup=False)
