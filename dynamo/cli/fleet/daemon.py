"""`dynamo-provision daemon` and `reconcile`: looking after fleets for good, or for one cycle."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.console import err, out, print_json
from dynamo.cli.fleet.common import FleetOption, JsonOption, Opened, fleet_of, opened
from dynamo.cli.fleet.completion import complete_fleets
from dynamo.cli.fleet.views import event_json
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.api.server import ApiServer
    from dynamo.autoscale.metrics import MetricsServer
    from dynamo.store.fleets import FleetEvent

#: How long a decision that is under way gets to end, seconds.
_LAST_LOOK_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("reconcile")(reconcile)
    app.command("daemon")(daemon)


def reconcile(fleet: str | None = FleetOption, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Compare once what is wanted with what is there, do what follows, and say what that was.

    Waits for the sites' lists and for the calls that it makes, not for servers to boot: run it again, or the daemon.

    Exit codes: 0 when it was done, 7 if another process looks after the fleet.
    """
    from dynamo.provision.keeping.reconcile_once import reconcile_once

    with opened(config) as here:
        name = fleet_of(here.store, fleet)
        report, found = reconcile_once(here.store, name, lambda text: err.print(text, markup=False))
    if as_json:
        done = [event_json(event) for event in found]
        print_json({"fleet": name, "settled": report.settled, "held": dict(report.held), "done": done})
        return
    _print_done(found)
    for about, why in report.held.items():
        err.print(f"held: {about}: {why}", markup=False)


def _print_done(found: list[FleetEvent]) -> None:
    for event in found:
        out.print(f"{event.action:14} {event.worker or event.site or '-':20} {event.reason}", markup=False)
    if not found:
        out.print("nothing to do")


def daemon(
    fleets: list[str] | None = typer.Argument(
        None, help="Only these fleets; all that live, and new ones, by default.", autocompletion=complete_fleets
    ),
    api: str | None = typer.Option(None, "--api", metavar="HOST:PORT", help="Serve the REST API there, too."),
    api_cert: Path | None = typer.Option(None, "--api-cert", help="TLS certificate of the API (PEM)."),
    api_key: Path | None = typer.Option(None, "--api-key", help="Its private key (PEM)."),
    api_local_files: bool = typer.Option(
        False, "--api-local-files", help="Let specs that come by the API name files and sites of this machine."
    ),
    metrics: str | None = typer.Option(
        None, "--metrics", metavar="HOST:PORT", help="Serve Prometheus metrics there, read-only."
    ),
    keep_days: float = typer.Option(30.0, "--keep-days", min=1.0, help="Keep events and ended workers so long."),
    log_format: str | None = typer.Option(None, "--log-format", help="logfmt or json; overrides the file."),
    config: Path | None = ConfigOption,
    as_json: bool = typer.Option(False, "--json", help="Log lines as JSON."),
) -> None:
    """Look after all fleets of the store until SIGTERM or Ctrl-C; workers stay when it ends.

    Each fleet has a thread of its own: what fails for one, or at one site, does not touch the others. A store that
    does not answer is waited for. Fleets of another daemon are left to it, and taken over if it ends. Where the
    configuration has `autoscale.enabled`, the fleet's size follows the work that is there and expected.

    Examples:

    `dynamo-provision daemon`

    `dynamo-provision daemon --api 127.0.0.1:8080 --json`

    Exit codes: 0 after a clean stop, 7 if other daemons have all fleets, 4 if a named one is not there.
    """
    from dynamo.autoscale.setup import start_beside
    from dynamo.config.file import find_config
    from dynamo.errors import UsageError
    from dynamo.provision.keeping.daemon import Daemon
    from dynamo.watch.logs import set_up_logging

    settings = find_config(config)
    form = "json" if as_json else log_format or settings.watch.log_format
    if form not in ("json", "logfmt"):
        raise UsageError(f"no log format {form!r:.40}", where="--log-format", expected="logfmt or json")
    set_up_logging("json" if form == "json" else "logfmt", settings.watch.log_level)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: Any) -> None:
        stop.set()

    with opened(config) as here:
        caretaker = Daemon(here.store, fleets or (), keep_days=keep_days)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        served = measured = scaler = None
        try:
            if metrics is not None:
                measured = _measure(here, metrics)
            if api is not None:
                served = _serve(here, api, api_cert, api_key, local_files=api_local_files)
            caretaker.claim()
            scaler = start_beside(settings, here.store, stop)
            caretaker.run(stop)
        finally:
            stop.set()
            if served is not None:
                served.stop()
            if measured is not None:
                measured.stop()
            caretaker.close()
            if scaler is not None:
                scaler.join(_LAST_LOOK_S)


def _measure(here: Opened, address: str) -> MetricsServer:
    from dynamo.extras import need

    need("prometheus_client", extra="metrics")
    from dynamo.autoscale.metrics import serve_metrics

    return serve_metrics(here.store, address)


def _serve(here: Opened, address: str, certificate: Path | None, key: Path | None, *, local_files: bool) -> ApiServer:
    from dynamo.extras import need

    need("fastapi", extra="api")
    from dynamo.api.server import parse_address, start
    from dynamo.api.settings import ApiSettings

    host, port = parse_address(address)
    settings = ApiSettings(local_files=local_files)
    return start(here.store, here.state_dir, host, port, certificate=certificate, key=key, settings=settings)
