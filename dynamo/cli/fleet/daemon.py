"""`dynamo-provision daemon` and `reconcile`: manage fleets continuously, or for one cycle."""

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
    from dynamo.config.file import Config
    from dynamo.provision.cycle.reconcile import CycleReport
    from dynamo.store.fleets import FleetEvent

#: Grace period for a decision in progress, in seconds.
_LAST_LOOK_S = 10.0


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("reconcile")(reconcile)
    app.command("daemon")(daemon)


def reconcile(fleet: str | None = FleetOption, config: Path | None = ConfigOption, as_json: bool = JsonOption) -> None:
    """Run one reconciliation cycle: compare actual with desired workers, act, and print the actions.

    Also removes what fleets that have ended left at their sites: servers, addresses, ports, volumes, networks. Waits
    for site API calls, but not for servers to boot: run it again, or run the daemon.

    Examples:

    `dynamo-provision reconcile`

    `dynamo-provision reconcile --fleet storm`: only this fleet, also one that has ended.

    Exit codes: 0 when done, 7 if another process manages the fleet.
    """
    from dynamo.errors import NotFoundError
    from dynamo.provision.keeping.reconcile_once import reconcile_once
    from dynamo.provision.leftovers import clear_leftovers
    from dynamo.provision.states import ENDED
    from dynamo.provision.status import fleet_state, has_fleets

    with opened(config) as here:
        report: CycleReport | None = None
        found: list[FleetEvent] = []
        try:
            name = fleet_of(here.store, fleet)
        except NotFoundError:
            # Ended fleets may still have left something.
            if fleet is not None or not has_fleets(here.store):
                raise
            name = ""
        left = clear_leftovers(here.store, () if fleet is None else (name,))
        if name and fleet_state(here.store, name) != ENDED:
            report, found = reconcile_once(here.store, name, lambda text: err.print(text, markup=False))
    held = {} if report is None else dict(report.held)
    if as_json:
        done = [event_json(event) for event in found]
        settled = report is None or report.settled
        removed = [{"fleet": of, "site": site, "removed": list(gone)} for (of, site), gone in left.removed.items()]
        problems = [{"fleet": of, "site": site, "problem": why} for (of, site), why in left.problems.items()]
        data = {"fleet": name, "settled": settled, "held": held, "done": done}
        print_json({**data, "leftovers": removed, "problems": problems})
        return
    for (of, site), gone in left.removed.items():
        out.print(f"{of} at {site} (ended): removed {', '.join(gone)}", markup=False)
    _print_done(found, nothing=not left.removed)
    for about, why in held.items():
        err.print(f"held: {about}: {why}", markup=False)
    for (of, site), why in left.problems.items():
        err.print(f"leftovers of {of}: {site} could not be asked: {why}", markup=False)


def _print_done(found: list[FleetEvent], *, nothing: bool) -> None:
    for event in found:
        out.print(f"{event.action:14} {event.worker or event.site or '-':20} {event.reason}", markup=False)
    if not found and nothing:
        out.print("nothing to do")


def daemon(
    fleets: list[str] | None = typer.Argument(
        None, help="Fleets to manage. Default: all active fleets and new ones.", autocompletion=complete_fleets
    ),
    api: str | None = typer.Option(None, "--api", metavar="HOST:PORT", help="Also serve the REST API on this address."),
    api_cert: Path | None = typer.Option(None, "--api-cert", help="TLS certificate for the API (PEM)."),
    api_key: Path | None = typer.Option(None, "--api-key", help="Private key for --api-cert (PEM)."),
    api_local_files: bool = typer.Option(
        False, "--api-local-files", help="Allow specs sent over the API to name this machine's files and sites."
    ),
    serve: str | None = typer.Option(
        None, "--serve", metavar="HOST:PORT", help="Also serve the dashboard and the API; only on a loopback address."
    ),
    metrics: str | None = typer.Option(
        None, "--metrics", metavar="HOST:PORT", help="Serve read-only Prometheus metrics on this address."
    ),
    keep_days: float = typer.Option(
        30.0, "--keep-days", min=1.0, help="Keep events and ended workers for this many days."
    ),
    log_format: str | None = typer.Option(None, "--log-format", help="logfmt or json; overrides the configuration."),
    config: Path | None = ConfigOption,
    as_json: bool = typer.Option(False, "--json", help="Write the log as JSON."),
) -> None:
    """Manage all fleets in the store until SIGTERM or Ctrl-C; workers keep running when it stops.

    Each fleet has its own thread, so a failure in one fleet or at one site does not affect the others. If the store is
    unavailable, the daemon waits. It leaves another daemon's fleets alone and takes them over if that daemon stops.
    If `autoscale.enabled` is set, fleet size follows current and expected work.

    Examples:

    `dynamo-provision daemon`

    `dynamo-provision daemon --api 127.0.0.1:8080 --json`

    Exit codes: 0 after a clean stop, 7 if other daemons manage all fleets, 4 if a named fleet is not found.
    """
    from dynamo.autoscale.setup import start_beside
    from dynamo.config.file import find_config
    from dynamo.doors import warn_of_quarrels
    from dynamo.errors import UsageError
    from dynamo.provision.keeping.daemon import Daemon
    from dynamo.watch.logs import set_up_logging

    settings = find_config(config)
    form = "json" if as_json else log_format or settings.watch.log_format
    if form not in ("json", "logfmt"):
        raise UsageError(f"unknown log format {form!r:.40}", where="--log-format", expected="logfmt or json")
    set_up_logging("json" if form == "json" else "logfmt", settings.watch.log_level)
    warn_of_quarrels()
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: Any) -> None:
        stop.set()

    with opened(config, missing="create") as here:
        days = settings.serve.audit_days
        caretaker = Daemon(here.store, fleets or (), state_dir=here.state_dir, keep_days=keep_days, audit_days=days)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ask_to_stop)
        served = shown = measured = scaler = None
        try:
            if metrics is not None:
                measured = _measure(here, metrics, settings)
            if api is not None:
                served = _serve(here, settings, api, (api_cert, api_key), file=config, local_files=api_local_files)
            if serve is not None:
                from dynamo.api.opening import open_api

                shown = open_api(here.store, settings, serve, config_file=config)
            caretaker.claim()
            scaler = start_beside(settings, here.store, stop)
            caretaker.run(stop)
        finally:
            stop.set()
            for server in (served, shown):
                if server is not None:
                    server.stop()
            if measured is not None:
                measured.stop()
            caretaker.close()
            if scaler is not None:
                scaler.join(_LAST_LOOK_S)


def _measure(here: Opened, address: str, config: Config) -> MetricsServer:
    from dynamo.extras import need

    need("prometheus_client", extra="metrics")
    from dynamo.autoscale.metrics import serve_metrics

    return serve_metrics(here.store, address, config)


def _serve(
    here: Opened,
    config: Config,
    address: str,
    tls: tuple[Path | None, Path | None],
    *,
    file: Path | None,
    local_files: bool,
) -> ApiServer:
    from dynamo.extras import need

    need("fastapi", extra="api")
    from dynamo.api.server import parse_address, start
    from dynamo.api.settings import ApiSettings

    host, port = parse_address(address)
    settings = ApiSettings(local_files=local_files, config_file=file)
    certificate, key = tls
    return start(
        here.store, here.state_dir, host, port, certificate=certificate, key=key, settings=settings, config=config
    )
