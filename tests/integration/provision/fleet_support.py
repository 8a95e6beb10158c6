"""A real pool of workers on this machine, for tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dynamo.pool.install.installation import require_installation
from dynamo.pool.record import PoolRecord, read_record
from dynamo.provision.condor.link import CondorLink
from dynamo.provision.condor.settings import WorkerSettings
from dynamo.provision.pool_link import JoinPapers, PoolView
from dynamo.provision.sites.base import FLEET_TAG, GROUP_TAG, WORKER_TAG, Flavor, Server, ServerRequest, SiteContext
from dynamo.provision.sites.local.site import LocalSite
from tests.waiting import wait_for

FLEET = "tests"
SMALL = Flavor("worker.1cpu", 1, 512, 1)
#: Times of workers in tests: as in life, but for seconds.
QUICK = WorkerSettings(grace_s=6, check_s=1, update_s=5)


class Fleet:
    """A pool and a local site in one folder."""

    def __init__(self, base: Path, settings: WorkerSettings = QUICK, **options: object) -> None:
        self.link = CondorLink(base / "link", settings=settings)
        self.site = LocalSite(SiteContext("Local:Test", options, base / "site"))
        self.link.ensure()

    @property
    def record(self) -> PoolRecord:
        record = read_record(self.link.pool)
        assert record is not None
        return record

    def request(self, name: str, papers: JoinPapers, flavor: Flavor = SMALL) -> ServerRequest:
        tags = {FLEET_TAG: FLEET, WORKER_TAG: name, GROUP_TAG: "group"}
        return ServerRequest(
            name=name, tags=tags, flavor=flavor, user_data=papers.user_data, private_files=papers.private_files
        )

    def add(self, *names: str, remote: bool = False, flavor: Flavor = SMALL, script: str = "") -> list[Server]:
        """Create workers and do not wait for them."""
        made = []
        for name in names:
            options: dict[str, object] = {"cpus": flavor.cpus, "memory_mb": flavor.ram_mb}
            installed = require_installation()
            if remote and installed.origin == "prefix":
                options["condor_prefix"] = str(installed.release.parent)
            papers = self.link.papers(name, remote=remote, options=options, script=script)
            made.append(self.site.create(self.request(name, papers, flavor)))
        return made

    def ready(self, *names: str, timeout_s: float = 30.0) -> PoolView:
        """Wait until the collector shows all of them."""

        def shown() -> PoolView | None:
            view = self.link.view()
            return view if set(names) <= set(view.workers) else None

        view = wait_for(shown, timeout_s, f"{names} ready")
        assert isinstance(view, PoolView)
        return view

    def folder(self, name: str) -> Path:
        return self.site._root / name

    def boot_log(self, name: str) -> str:
        path = self.folder(name) / "worker" / "boot.log"
        return path.read_text() if path.is_file() else ""

    def as_worker(self, name: str, program: str, *arguments: str, **config: str) -> subprocess.CompletedProcess[str]:
        """Run one of HTCondor's programs with a worker's configuration and token."""
        folder = self.record.bin if (Path(self.record.bin) / program).exists() else self.record.sbin
        environment = {
            **os.environ,
            "CONDOR_CONFIG": str(self.folder(name) / "worker" / "condor_config"),
            **{f"_CONDOR_{key}": value for key, value in config.items()},
        }
        return subprocess.run(
            [f"{folder}/{program}", *arguments],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
            timeout=300,
        )

    def run(self, program: str, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of HTCondor's programs as the operator."""
        return subprocess.run(
            [f"{self.record.bin}/{program}", *arguments],
            input=text,
            capture_output=True,
            text=True,
            env={**os.environ, "CONDOR_CONFIG": self.record.config},
            check=False,
            timeout=300,
        )

    def submit(self, folder: Path, code: str, count: int = 1, **settings: str) -> Path:
        """Submit jobs that run ``code`` with the Python of the tests; return their log."""
        script = folder / "job.py"
        script.write_text(code)
        log = folder / "job.log"
        job = {
            "executable": sys.executable,
            "arguments": str(script),
            "initialdir": str(folder),
            "output": "job.$(Process).out",
            "error": "job.$(Process).err",
            "log": str(log),
            "should_transfer_files": "NO",
            "request_memory": "64",
            "request_disk": "1",
            **settings,
        }
        text = "".join(f"{key} = {value}\n" for key, value in job.items()) + f"queue {count}\n"
        done = self.run("condor_submit", "-", text=text)
        assert done.returncode == 0, done.stderr
        return log

    def close(self) -> None:
        for server in self.site.list(FLEET):
            self.site.delete(server.id)
        self.link.stop()


def count(log: Path, words: str) -> int:
    return log.read_text().count(words) if log.is_file() else 0
