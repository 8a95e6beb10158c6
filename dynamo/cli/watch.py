"""`dynamo watch` (the daemon) and `dynamo config` (its options)."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.console import err, out, print_json
from dynamo.texts import counted

if TYPE_CHECKING:
    from dynamo.autoscale.metrics import MetricsServer
    from dynamo.config.file import Config
    from dynamo.runs.events import RunEvent
    from dynamo.runs.shedding import Shedding
    from dynamo.store.engine import Store
    from dynamo.watch.check import Mistake

ConfigOption = typer.Option(
    None,
    "--config",
    "-c",
    envvar="DYNAMO_CONFIG",
    help="Configuration file. Default: dynamo.toml in this folder or one above; without one, built-in defaults and the "
    "user's own state.",
    show_default=False,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("watch")(watch)
    group = typer.Typer(no_args_is_help=True, help="Show the effective configuration, its reference and an example.")
    group.command("show")(show)
    group.command("docs")(docs)
    group.command("example")(example)
    app.add_typer(group, name="config")


def watch(
    config: Path | None = ConfigOption,
    once: bool = typer.Option(False, "--once", help="Process the files already in the feeds, then exit (for cron)."),
    as_json: bool = typer.Option(False, "--json", help="Write the log and the --once summary as JSON."),
    log_format: str | None = typer.Option(None, "--log-format", help="logfmt or json; overrides the configuration."),
    metrics: str | None = typer.Option(
        None, "--metrics", metavar="HOST:PORT", help="Serve read-only Prometheus metrics on this address."
    ),
    serve: str | None = typer.Option(
        None, "--serve", metavar="HOST:PORT", help="Also serve the dashboard and the API; only on a loopback address."
    ),
    hold: bool = typer.Option(False, "--hold", help="Accept files and create runs, but start none (maintenance)."),
    check: bool = typer.Option(False, "--check", help="Check the configuration and its workflows, then exit."),
) -> None:
    """Watch the configured feeds and run their workflows until SIGTERM or Ctrl-C.

    All mistakes of a configuration are told at once, before anything starts.

    Exit codes: 0 after a clean stop, 3 for a bad configuration, 4 if it names a file or workflow that is not there,
    5 if the store is removed or a part does not respond, 6 if a run failed with `--once`, 7 if another daemon owns the
    store or a feed.
    """
    from dynamo.config.file import find_config
    from dynamo.doors import warn_of_quarrels
    from dynamo.errors import RunFailedError, UsageError
    from dynamo.watch.logs import set_up_logging

    if check:
        _check(config, as_json)
        return
    with _telling_all(config):
        settings = find_config(config)
    form = "json" if as_json else log_format or settings.watch.log_format
    if form not in ("json", "logfmt"):
        raise UsageError(f"unknown log format {form!r}", where="--log-format", expected="logfmt or json")
    set_up_logging("json" if form == "json" else "logfmt", settings.watch.log_level)
    warn_of_quarrels()
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    from dynamo.watch.watcher import Watcher

    with _telling_all(config):
        watcher = Watcher(settings, paused=hold, shedding=_guard(settings))
    tally = _Tally()
    watcher.events.subscribe(tally)
    if once:
        watcher.run_once(stop)
        if as_json:
            print_json(tally.counts)
        if failed := tally.counts["failed"]:
            raise RunFailedError(f"{counted(failed, 'run')} failed", hint="see `dynamo runs list --state failed`")
        return
    with contextlib.ExitStack() as beside:
        if metrics is not None:
            beside.callback(_measure(watcher.service.store, metrics, settings).stop)
        if serve is not None:
            from dynamo.api.opening import open_api

            beside.callback(open_api(watcher.service.store, settings, serve, config_file=config).stop)
        watcher.run(stop)


def show(
    config: Path | None = ConfigOption,
    _as_json: bool = typer.Option(False, "--json", help="Accepted for consistency; the output is always JSON."),
) -> None:
    """Print the effective configuration, defaults included, as JSON; passwords are hidden."""
    from dynamo.config.file import find_config
    from dynamo.store.url import safe_url

    settings = find_config(config)
    data = settings.model_dump(mode="json")
    if settings.store.url is not None:
        data["store"]["url"] = safe_url(settings.store.url)
    data["resolved"] = {
        "store": safe_url(settings.store_url),
        "runs": str(settings.runs_dir),
        "products": str(settings.products_dir),
        "quarantine": str(settings.quarantine_dir),
    }
    print_json(data)


def docs() -> None:
    """Print the configuration reference (Markdown)."""
    from dynamo.config.docs import markdown

    out.print(markdown(), markup=False, end="")


def example() -> None:
    """Print a commented configuration file with every option."""
    from dynamo.config.docs import example as text

    out.print(text(), markup=False, end="")


def _measure(store: Store, address: str, config: Config) -> MetricsServer:
    from dynamo.extras import need

    need("prometheus_client", extra="metrics")
    from dynamo.autoscale.metrics import serve_metrics

    return serve_metrics(store, address, config)


def _guard(settings: Config) -> Callable[[Store], Shedding]:
    """Return a factory for the guard that sheds load when the autoscaler reports an overload."""

    def make(store: Store) -> Shedding:
        from dynamo.autoscale.overload import Guard

        return Guard(store, settings)

    return make


class _Tally:
    """Counts of events, for the summary."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = dict.fromkeys(
            ("arrivals", "duplicates", "quarantined", "runs", "published", "failed", "skipped"), 0
        )
        self._lock = threading.Lock()

    def __call__(self, event: RunEvent) -> None:
        name = {
            "arrival": "arrivals",
            "duplicate": "duplicates",
            "quarantined": "quarantined",
            "run_created": "runs",
            "published": "published",
        }.get(event.kind)
        if event.kind == "run_state" and event.data["state"] in ("failed", "skipped"):
            name = str(event.data["state"])
        if name is not None:
            with self._lock:
                self.counts[name] += 1


def _check(named: Path | None, as_json: bool) -> None:
    from dynamo.watch.check import config_remarks

    settings, mistakes, where = _looked_through(named)
    if settings is None or mistakes:
        if as_json:
            print_json({"valid": False, "problems": [mistake.text for mistake in mistakes]})
        else:
            _print_mistakes(mistakes, where)
        raise typer.Exit(mistakes[0].exit_code)
    remarks = config_remarks(settings)
    if as_json:
        numbers = {"feeds": len(settings.feeds), "triggers": len(settings.triggers)}
        print_json({"valid": True, **numbers, "warnings": remarks})
        return
    out.print(f"{counted(len(settings.feeds), 'feed')}, {counted(len(settings.triggers), 'trigger')}: OK")
    for remark in remarks:
        err.print(f"warning: {remark}", markup=False)


@contextlib.contextmanager
def _telling_all(named: Path | None) -> Iterator[None]:
    """Where the block refuses the configuration, print all its mistakes, not just the one it stumbled over."""
    from dynamo.errors import BusyError, DynamoError, RetryableError

    try:
        yield
    except (BusyError, RetryableError):
        raise
    except DynamoError as error:
        try:
            _, mistakes, where = _looked_through(named)
        except DynamoError:
            raise error from None
        if len(mistakes) < 2:
            raise
        _print_mistakes(mistakes, where)
        raise typer.Exit(error.exit_code) from error


def _looked_through(named: Path | None) -> tuple[Config | None, list[Mistake], Path | None]:
    """Return the configuration if it can be read, its mistakes, and where they are."""
    from dynamo.config.file import ConfigError, find_config
    from dynamo.watch.check import config_mistakes, file_mistakes

    try:
        settings = find_config(named)
    except ConfigError as error:
        return None, file_mistakes(error), Path(error.where or "")
    return settings, config_mistakes(settings), named


def _print_mistakes(mistakes: Sequence[Mistake], where: Path | None) -> None:
    for mistake in mistakes:
        err.print(mistake.text, markup=False)
    count = counted(len(mistakes), "mistake")
    err.print(f"{count}{f' in {where}' if where else ''} (see dynamo config docs)", markup=False)
