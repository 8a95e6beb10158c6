"""`dynamo serve`: the API and the dashboard, over the store alone."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from dynamo.cli.console import err, print_json_line
from dynamo.cli.watch import ConfigOption

if TYPE_CHECKING:
    from dynamo.api.server import ApiServer

#: Interval of looking whether the server still runs, in seconds.
_LOOK_S = 0.5


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    listen: str = typer.Option("127.0.0.1:8080", "--listen", "-l", metavar="HOST:PORT", help="Where to listen."),
    cert: Path | None = typer.Option(None, "--cert", help="TLS certificate (PEM)."),
    key: Path | None = typer.Option(None, "--key", help="Private key for --cert (PEM)."),
    behind_proxy: bool = typer.Option(
        False, "--behind-proxy", help="A reverse proxy in front ends TLS; everybody logs in."
    ),
    config: Path | None = ConfigOption,
    as_json: bool = typer.Option(False, "--json", help="Print the address, and write the log, as JSON."),
) -> None:
    """Serve runs, products, the map, fleets and costs until SIGTERM or Ctrl-C; daemons need not run.

    On a loopback address, programs of the user who starts it need no login. On any other, it starts only with TLS
    (--cert, or --behind-proxy) and somebody who can log in: `dynamo users add NAME --role admin`.

    Examples:

    `dynamo serve`

    `dynamo serve --listen 0.0.0.0:8443 --cert cert.pem --key key.pem`

    Exit codes: 0 after a clean stop, 2 if others could read what is sent or nobody could log in, 5 if a part is
    missing, 7 if the port is taken.
    """
    from dynamo.api.opening import open_api
    from dynamo.config.file import find_config
    from dynamo.inspection import process as inspection
    from dynamo.store.engine import open_store
    from dynamo.watch.logs import set_up_logging

    settings = find_config(config)
    set_up_logging("json" if as_json else settings.watch.log_format, settings.watch.log_level)
    stop = threading.Event()

    def ask_to_stop(_number: int, _frame: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask_to_stop)
    store = open_store(settings.store_url)
    try:
        server = open_api(
            store, settings, listen, certificate=cert, key=key, behind_proxy=behind_proxy, config_file=config
        )
        try:
            _say_where(server, as_json)
            while server.running and not stop.wait(_LOOK_S):
                pass
        finally:
            server.stop()
    finally:
        inspection.close()
        store.close()


def _say_where(server: ApiServer, as_json: bool) -> None:
    if as_json:
        print_json_line({"url": server.url})
    else:
        err.print(f"dashboard and API: {server.url}", markup=False)
