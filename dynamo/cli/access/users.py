"""`dynamo users`: who may log in to `dynamo serve`, and what each may do."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dynamo.cli.access.noting import note_command
from dynamo.cli.console import out, print_json
from dynamo.cli.options import WideOption, completing
from dynamo.cli.runs import JsonOption
from dynamo.cli.tables import extra, named, print_table
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from dynamo.store.engine import Store

_ROLES = ("viewer", "researcher", "operator", "admin")
_LONGEST_FILE = 4096
_NONE = "none"
NameArgument = typer.Argument(help="Name of the user.", metavar="NAME")
RoleArgument = typer.Argument(help=f"{', '.join(_ROLES)}.", metavar="ROLE", autocompletion=completing(_ROLES))
PasswordFileOption = typer.Option(
    None,
    "--password-file",
    metavar="FILE",
    help="Read the password from a file that only you can read, or from standard input (-). Default: ask for it.",
)


def register(app: typer.Typer) -> None:
    """Add the group."""
    group = typer.Typer(
        no_args_is_help=True, help="Manage who may log in to `dynamo serve`; of passwords only hashes are stored."
    )
    group.command("add")(add)
    group.command("list")(list_all)
    group.command("passwd")(passwd)
    group.command("role")(role)
    group.command("disable")(disable)
    group.command("enable")(enable)
    group.command("budget")(budget)
    group.command("remove")(remove)
    app.add_typer(group, name="users")


def add(
    name: str = NameArgument,
    role: str = typer.Option(
        "viewer", "--role", metavar="ROLE", help=f"{', '.join(_ROLES)}.", autocompletion=completing(_ROLES)
    ),
    budget: float | None = typer.Option(
        None, "--budget", min=0.0, help="How much own runs may cost in each period of `[serve] budget_period`."
    ),
    password_file: str | None = PasswordFileOption,
    no_password: bool = typer.Option(False, "--no-password", help="A user who only has tokens."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Add a user. A viewer looks, a researcher also runs workflows, an operator gives all orders, an admin manages.

    Examples:

    `dynamo users add ada --role researcher --budget 50`

    Exit codes: 2 for a name or role that is not allowed, 3 for a bad password, 7 if there is such a user.
    """
    from dynamo.api.access.users import add_user, check_name

    check_name(name)
    password = None if no_password else _password(password_file)
    with _changing(config, name, "add", role=role) as session:
        made = add_user(session, name, role, password=password, budget=budget)
    _say(made.to_json(), f"{name} added as {made.role}", as_json)


def list_all(config: Path | None = ConfigOption, wide: bool = WideOption, as_json: bool = JsonOption) -> None:
    """List users with their roles, and what their own runs have cost in this period."""
    from dynamo.api.access.budgets import allowance_of
    from dynamo.api.access.users import list_users
    from dynamo.cli.stores import look
    from dynamo.config.file import find_config
    from dynamo.times import utc_now

    period = find_config(config).serve.budget_period
    store = look(config)
    try:
        with store.reading() as session:
            now = utc_now()
            found = [(user, allowance_of(session, user.name, user.budget, period, now)) for user in list_users(session)]
    finally:
        store.close()
    if as_json:
        print_json(
            [
                {**user.to_json(), "period": period, "spent": money.spent, "currency": money.currency}
                for user, money in found
            ]
        )
        return
    print_table(
        "",
        (named("name"), "role", "logs in with", "budget", "spent", extra("created"), "last login"),
        [
            (
                user.name,
                user.role,
                "disabled" if user.disabled else "OpenID" if user.subject else "password" if user.has_password else "-",
                f"{user.budget:g} a {period}" if user.budget is not None else "-",
                f"{money.spent:.2f} {money.currency}".strip(),
                user.created_at,
                user.seen_at,
            )
            for user, money in found
        ],
        empty="no users: dynamo users add NAME --role admin",
        whole=wide,
    )


def passwd(
    name: str = NameArgument,
    password_file: str | None = PasswordFileOption,
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Give a user a new password; all sessions of the user end."""
    from dynamo.api.access.users import find_user, set_password

    with _existing(config) as store, store.reading() as session:
        find_user(session, name)
    password = _password(password_file)
    _change(config, name, "passwd", lambda session: set_password(session, name, password), as_json)


def role(
    name: str = NameArgument, role: str = RoleArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption
) -> None:
    """Give a user another role; all sessions of the user end."""
    from dynamo.api.access.users import set_role

    _change(config, name, "role", lambda session: set_role(session, name, role), as_json, role=role)


def disable(name: str = NameArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Let a user in no more: sessions end, tokens are not valid."""
    from dynamo.api.access.users import set_disabled

    _change(config, name, "disable", lambda session: set_disabled(session, name, True), as_json)


def enable(name: str = NameArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Let a disabled user in again."""
    from dynamo.api.access.users import set_disabled

    _change(config, name, "enable", lambda session: set_disabled(session, name, False), as_json)


def budget(
    name: str = NameArgument,
    amount: str = typer.Argument(help=f"How much own runs may cost in each period, or `{_NONE}` for no limit."),
    config: Path | None = ConfigOption,
    as_json: bool = JsonOption,
) -> None:
    """Set how much a user's own runs may cost in each period of `[serve] budget_period`."""
    from dynamo.api.access.users import set_budget
    from dynamo.errors import UsageError

    try:
        limit = None if amount == _NONE else float(amount)
    except ValueError:
        raise UsageError(f"not an amount: {amount!r:.40}", expected=f"a number, or {_NONE}") from None
    _change(config, name, "budget", lambda session: set_budget(session, name, limit), as_json, budget=amount)


def remove(name: str = NameArgument, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Remove a user, with sessions and tokens; runs and audit keep the name. `disable` can be undone."""
    from dynamo.api.access.users import remove_user

    with _changing(config, name, "remove") as session:
        remove_user(session, name)
    _say({"name": name, "removed": True}, f"{name} removed", as_json)


def _change(
    config: Path | None, name: str, what: str, work: Callable[[Session], None], as_json: bool, **said: str
) -> None:
    from dynamo.api.access.users import find_user

    with _changing(config, name, what, **said) as session:
        work(session)
        session.flush()
        now = find_user(session, name)
    _say(now.to_json(), f"{name}: {what} done", as_json)


@contextlib.contextmanager
def _existing(config: Path | None) -> Iterator[Store]:
    from dynamo.cli.stores import look

    store = look(config)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def _changing(config: Path | None, name: str, what: str, **said: str) -> Iterator[Session]:
    """Yield a transaction about a user, which the audit knows of; only adding makes a store."""
    from dynamo.cli.stores import look
    from dynamo.config.file import find_config
    from dynamo.store.engine import open_store

    store = open_store(find_config(config).store_url) if what == "add" else look(config)
    try:
        with store.transaction() as session:
            yield session
            note_command(session, f"dynamo users {what}", name, **said)
    finally:
        store.close()


def _password(file: str | None) -> str:
    """Return a password from a file, standard input or a person; never from the arguments, which others see."""
    from dynamo.errors import InputError

    if file is None and sys.stdin.isatty():
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise InputError("two different passwords", where="password", expected="the same twice")
        return password
    if file is None or file == "-":
        return sys.stdin.readline(_LONGEST_FILE).rstrip("\r\n")
    path = Path(file)
    mode = path.stat().st_mode
    if mode & 0o077:
        raise InputError("others can read it", where=path, expected="mode 0600", hint=f"chmod 600 {path}")
    with path.open() as stream:
        return stream.readline(_LONGEST_FILE).rstrip("\r\n")


def _say(data: object, line: str, as_json: bool) -> None:
    if as_json:
        print_json(data)
    else:
        out.print(line, markup=False)
