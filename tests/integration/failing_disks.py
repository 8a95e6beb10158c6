"""Runs on disks that fill up or become read-only: real ones, small, in a mount namespace of this process's own.

``unshare --user --map-root-user --mount python -m tests.integration.failing_disks FOLDER`` prints a JSON line per case.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import orjson

from dynamo.files import sha256_file
from dynamo.runs.events import RunEvent
from dynamo.runs.ledger import InputFile, RunRequest
from dynamo.runs.service import RunService
from dynamo.runs.settings import RunSettings
from dynamo.runs.setup import registered_engine
from dynamo.runs.workflow_planner import DocumentPlanner
from dynamo.store.engine import open_store
from dynamo.store.models import Run
from tests.integration.watch.watch_support import write_small
from tests.waiting import PATIENCE

#: Seconds after which a case that does not end is told as it is.
LIMIT_S = 20.0 * PATIENCE
FILLER = "filler"


class Disks:
    """A small disk for run folders and one for products, and a service that uses them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.runs, self.products = folder / "runs", folder / "products"
        for disk in (self.runs, self.products):
            disk.mkdir()
            call("mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk))
        settings = RunSettings(
            self.runs, self.products, engines={"local": {"workers": 1}}, fsync=False, min_free_mb=0, tick_s=0.05
        )
        self.service = RunService(
            open_store(folder / "store.sqlite"), settings, planner=DocumentPlanner(), engine_factory=registered_engine
        )

    def request(self, minute: int) -> Run:
        path = write_small(self.folder, minute)
        known, workflow = path.stat(), self.service.planner.load("nowcast")
        run, _ = self.service.create(
            RunRequest(
                workflow=workflow,
                inputs=(InputFile("nowcast", path, sha256_file(path), known.st_size, known.st_mtime_ns),),
                parameters=self.service.planner.parameters(workflow, {"min_points": 4}),
                engine="local",
            )
        )
        return run


def full(disk: Path, room: int = 0) -> Callable[[], None]:
    """Fill a disk but for some bytes; return what empties it."""
    filler = disk / FILLER
    with filler.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            stream.truncate(stream.tell() - room)
    return filler.unlink


def read_only(disk: Path) -> Callable[[], None]:
    """Make a disk read-only; return what makes it writable."""
    call("mount", "-o", "remount,ro", str(disk))
    return lambda: call("mount", "-o", "remount,rw", str(disk))


def case(disks: Disks, minute: int, name: str, at: str, spoil: Callable[[], Callable[[], None]]) -> None:
    """Execute a run, spoil a disk when it is ``at`` a state, mend it after the first trouble; tell how it ended."""
    troubles: list[str] = []
    mends: list[Callable[[], None]] = [spoil()] if at == "created" else []

    def follow(event: RunEvent) -> None:
        if event.kind == "run_state" and event.data["state"] == at:
            mends.append(spoil())
        elif event.kind == "trouble":
            troubles.append(str(event.data["reason"]))
            while mends:
                mends.pop()()

    run, stop = disks.request(minute), threading.Event()
    unsubscribe = disks.service.events.subscribe(follow)
    limit = threading.Timer(LIMIT_S, stop.set)
    limit.start()
    disks.service.execute(run.id, stop)
    limit.cancel()
    unsubscribe()
    left = disks.service.get(run.id)
    index = {} if left.product_dir is None else orjson.loads((Path(left.product_dir) / "index.json").read_bytes())
    print(  # noqa: T201 - a program's answer
        orjson.dumps(
            {
                "case": name,
                "state": left.state,
                "reason": left.reason,
                "troubles": troubles,
                "whole": [
                    sha256_file(Path(str(left.product_dir)) / item["name"]) == item["sha256"]
                    for item in index.get("products", [])
                ],
            }
        ).decode(),
        flush=True,
    )


def call(*command: str) -> None:
    subprocess.run(command, check=True)


def main() -> None:
    disks = Disks(Path(sys.argv[1]))
    runs, products = disks.runs, disks.products
    case(disks, 0, "run folder read-only", "created", lambda: read_only(runs))
    case(disks, 1, "run folder full", "created", lambda: full(runs))
    case(disks, 2, "run folder full under way", "submitted", lambda: full(runs))
    case(disks, 3, "no room for outputs", "submitted", lambda: full(runs, room=5 * 4096))
    case(disks, 4, "products read-only", "publishing", lambda: read_only(products))
    disks.service.close()
    disks.service.store.close()


if __name__ == "__main__":
    main()
