"""A fleet's pool, as used by the provisioner, with real HTCondor daemons."""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from dynamo.errors import DynamoError, UsageError
from dynamo.pool.control import down, up
from dynamo.pool.install.installation import Installation, ensure_installed, find_installation
from dynamo.pool.manager import LOOPBACK
from dynamo.pool.record import PoolRecord, read_record
from dynamo.provision.condor import admission, revocation
from dynamo.provision.condor.drain import drain, free_claims, hurry_overdue
from dynamo.provision.condor.history import finished_since
from dynamo.provision.condor.lost_jobs import LostJobs
from dynamo.provision.condor.memory import Memory
from dynamo.provision.condor.papers import boot_script, read_options
from dynamo.provision.condor.settings import WorkerSettings
from dynamo.provision.condor.tokens import check_name, make_boot_token, make_worker_token
from dynamo.provision.condor.tools import TIMEOUT_S, Tools
from dynamo.provision.condor.view import look
from dynamo.provision.pool_link import FinishedJob, JoinPapers, PoolSilentError, PoolView

log = logging.getLogger(__name__)


class CondorLink:
    """Implements `dynamo.provision.pool_link.PoolLink`.

    Parameters
    ----------
    state
        The link's folder, for what it remembers about workers.
    pool
        The folder of the pool (``DYNAMO_POOL_DIR``); ``state/pool`` by default.
    ours
        Whether `ensure` may start the pool and `stop` stop it. If not, a manager pool must be running in ``pool``.
    address, public, port
        Where the pool listens, see `dynamo.pool.control.up`.
    prefix
        Folder of the HTCondor installation to use, if not the default.
    settings
        Settings for workers.
    timeout_s
        Time limit per query, in seconds.
    tell
        Called with messages about what is being done.
    """

    def __init__(
        self,
        state: Path,
        *,
        pool: Path | None = None,
        ours: bool = True,
        address: str = LOOPBACK,
        public: str = "",
        port: int = 0,
        prefix: Path | None = None,
        settings: WorkerSettings | None = None,
        timeout_s: float = TIMEOUT_S,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.pool = (pool or state / "pool").absolute()
        self.settings = settings or WorkerSettings()
        self._memory = Memory(state / "workers")
        self._ours = ours
        self._address, self._public, self._port = address, public, port
        self._prefix = prefix
        self._timeout_s = timeout_s
        self._tell = tell
        self._installation: Installation | None = None
        self._lost_jobs = LostJobs()
        self._freed_at = -math.inf
        #: Workers whose papers are known to be invalid.
        self._joined: set[str] = set()

    def ensure(self) -> None:
        """Start the pool if it is ours and not running; without an HTCondor on this machine, install one first.

        Raises
        ------
        PoolSilentError
            If it is not ours and not running.
        MissingPartError, RetryableError, UsageError
            As `dynamo.pool.control.up`.
        """
        if self._ours:
            ensure_installed(self._prefix, self._tell)
            up(
                kind="manager",
                state=self.pool,
                prefix=self._prefix,
                address=self._address,
                public=self._public,
                port=self._port,
                tell=self._tell,
            )
        else:
            self._record()

    def view(self) -> PoolView:
        """Query the collector and the queue; kill jobs on workers past their drain deadline."""
        tools = self._tools()
        view = look(tools, fresh_s=self.settings.fresh_s)
        admission.note_joined(self._memory, view.workers.keys() - self._joined)
        self._joined = set(view.workers)
        hurry_overdue(tools, self._memory, view)
        return self._heal(tools, view)

    def _heal(self, tools: Tools, view: PoolView) -> PoolView:
        # Not again on every call: until the worker's next update it looks as before.
        if time.monotonic() - self._freed_at < self.settings.idle_claim_s:
            return view
        try:
            freed = free_claims(tools, view, self.settings.idle_claim_s)
        except DynamoError as error:
            log.info("cannot free a claim without a job yet: %s", error)
            return view
        if freed:
            self._freed_at = time.monotonic()
        return replace(view, freed=freed)

    def papers(
        self, worker: str, *, script: str = "", remote: bool = True, options: Mapping[str, object] | None = None
    ) -> JoinPapers:
        """Create what ``worker`` needs to join; a second call invalidates the first one's bootstrap.

        The options are ``cpus``, ``memory_mb``, ``disk_mb``, ``condor_prefix`` (where HTCondor is on the worker) and
        ``shared_files`` (the worker sees this machine's files under the same paths).
        """
        check_name(worker)
        read = read_options(options)
        record, tools = self._record(), self._tools()
        now = time.time()
        note = self._memory.get(worker)
        if note.revoked:
            raise UsageError("this worker was revoked", where=worker, expected="a name never used before")
        serial = secrets.token_hex(8)
        self._joined.discard(worker)
        note = note.but(serial=serial, boot_until=now + self.settings.boot_s)
        if remote:
            # Not a secret: the serial only says which papers are the valid ones.
            self._memory.put(note)
            bootstrap = make_boot_token(tools, worker, serial, self.settings.boot_s)
            return JoinPapers(
                boot_script(record, worker, settings=self.settings, options=read, bootstrap=bootstrap, script=script),
                {},
            )
        self._memory.put(note.but(serial="", token_until=now + self.settings.token_s + 60))
        if not read.condor_prefix:
            read = read.model_copy(update={"condor_prefix": self._own_prefix()})
        read = read.model_copy(update={"shared_files": True})
        token = make_worker_token(tools, worker, self.settings.token_s)
        return JoinPapers(
            boot_script(record, worker, settings=self.settings, options=read, script=script),
            {"token": token.encode() + b"\n"},
        )

    def admit(self, expected: Collection[str]) -> Sequence[str]:
        """Answer join requests of the workers in ``expected``, and requests for a worker's next token."""
        return admission.admit(self._tools(), self._memory, expected, token_s=self.settings.token_s)

    def revoke(self, workers: Collection[str]) -> None:
        """Revoke the tokens and bootstraps of these workers."""
        record = read_record(self.pool)
        if record is not None:
            revocation.revoke(record, self._memory, [check_name(worker) for worker in workers])

    def drain(self, worker: str, *, deadline_s: float) -> None:
        """Let running jobs finish for at most ``deadline_s`` seconds, and take no new ones."""
        drain(self._tools(), self._memory, check_name(worker), deadline_s)

    def release(self, jobs: Collection[str]) -> Sequence[str]:
        """Put jobs of workers that are gone back in the queue."""
        return self._lost_jobs.release(self._tools(), jobs)

    def finished(self, since: datetime) -> Sequence[FinishedJob]:
        """Return the jobs that ended on workers after ``since``."""
        return finished_since(self._tools(), since)

    def stop(self) -> None:
        """Stop the pool's daemons if they are ours; the queue stays on disk."""
        if self._ours:
            down(self.pool)

    def _record(self) -> PoolRecord:
        record = read_record(self.pool)
        if record is None or not record.running():
            raise PoolSilentError("the fleet's pool is not running", where=self.pool)
        if record.kind != "manager":
            raise PoolSilentError(
                "this pool does not accept workers", where=self.pool, expected="a pool of kind manager"
            )
        return record

    def _tools(self) -> Tools:
        return Tools(self._record(), self._timeout_s)

    def _own_prefix(self) -> str:
        if self._installation is None:
            self._installation = find_installation(self._prefix)
        found = self._installation
        return str(found.release.parent) if found is not None and found.origin == "prefix" else ""
