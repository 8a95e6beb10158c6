"""The demo going on: simulated storms at the pace of the weather, the daemon, and the dashboard."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dynamo.config.file import load_config
from dynamo.demo.sources import Progress
from dynamo.simulate.network import NetworkSimulator
from dynamo.simulate.radar import RadarSimulator
from dynamo.watch.watcher import Watcher

#: Radars of the demo: a nowcast and a sweep of each of them a minute are little work for two cores.
RADARS = 3
#: Nowcasts that are there before the live system begins.
PAST = 6
#: The storms end after this long, in minutes.
_LENGTH_MIN = 7 * 24 * 60
#: What is later than this is left out: a machine that is too slow does not pile up work.
_LATE = timedelta(minutes=2)


class LiveSource:
    """Storms that radars and nowcasts see alike, as a source for the demo and, after it, of live feeds.

    Parameters
    ----------
    now
        The caller's clock; the last nowcast of the demo is valid then.
    shape
        Rows and columns of the nowcasts' grids.
    seed
        Random seed.
    """

    title = "simulated storms over Dallas/Fort Worth, live"

    def __init__(self, now: datetime, shape: tuple[int, int], seed: int) -> None:
        start = now.replace(second=0, microsecond=0) - timedelta(minutes=PAST - 1)
        radars = RadarSimulator("wide", start, RADARS, sweeps_per_minute=1, minutes=_LENGTH_MIN, seed=seed)
        self.network = NetworkSimulator(radars, shape)

    @property
    def radars(self) -> list[str]:
        """Names of the radars."""
        return [radar.radar for radar in self.network.radars.network]

    @property
    def labels(self) -> list[str]:
        """The time of each nowcast of the demo."""
        start = self.network.radars.start
        return [f"{start + timedelta(minutes=minute):%H:%M} UTC" for minute in range(PAST)]

    def write(self, index: int, folder: Path, progress: Progress) -> Path:
        """Write a nowcast of the demo."""
        progress("simulating", 0, 1)
        return self.network.write_nowcast(index, folder)

    def feed(self, folder: Path, stop: threading.Event) -> None:
        """Write what follows the demo into the feeds below ``folder``, each file when it is due, until ``stop``."""
        told = self.network.radars.start + timedelta(minutes=PAST - 1)
        for delivery in self.network.deliveries():
            if delivery.feed == "nowcasts" and delivery.due <= told:
                continue
            now = datetime.now(UTC)
            if delivery.due < now - _LATE:
                continue
            if stop.wait(max(0.0, (delivery.due - now).total_seconds())):
                return
            delivery.write(folder / delivery.feed)


def go_live(source: LiveSource, folder: Path, address: str, stop: threading.Event, told: Callable[[str], None]) -> None:
    """Go on with a demo as a live system until ``stop`` is set.

    Parameters
    ----------
    source
        What the demo showed.
    folder
        The demo's folder, with its configuration.
    address
        Where the dashboard listens, on this machine only.
    told
        Called with the dashboard's address.

    Raises
    ------
    BusyError
        If the address is taken.
    OSError
        If files cannot be written.
    """
    from dynamo.api.opening import open_api

    config = load_config(folder / "dynamo.toml")
    watcher = Watcher(config)
    try:
        server = open_api(watcher.service.store, config, address, config_file=folder / "dynamo.toml")
    except BaseException:
        watcher.stop()
        raise
    feeding = _Feeding(source, folder, stop)
    try:
        told(server.url)
        feeding.start()
        watcher.run(stop)
    finally:
        stop.set()
        feeding.join()
        server.stop()
    if feeding.failure is not None:
        raise feeding.failure


class _Feeding(threading.Thread):
    """Writes the feeds; a failure ends the demo."""

    def __init__(self, source: LiveSource, folder: Path, stop: threading.Event) -> None:
        super().__init__(name="storms", daemon=True)
        self.failure: Exception | None = None
        self._work = (source, folder, stop)

    def run(self) -> None:
        source, folder, stop = self._work
        try:
            source.feed(folder, stop)
        except Exception as error:
            self.failure = error
            stop.set()
