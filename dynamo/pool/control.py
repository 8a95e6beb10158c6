"""Starting and stopping the personal pool."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dynamo.errors import MissingPartError, RetryableError, UsageError
from dynamo.files import replacing
from dynamo.pool.account import Account, daemon_account
from dynamo.pool.configuration import DOMAIN, TEMPLATES, write_configuration
from dynamo.pool.install.installation import Installation, require_installation
from dynamo.pool.install.runtime import find_runtime
from dynamo.pool.manager import LOOPBACK, WORKER_KEY, Head
from dynamo.pool.processes import Process, boot_id, find, plain_environment, wait_gone
from dynamo.pool.record import (
    CONFIGURATION,
    MARK,
    PoolRecord,
    default_state,
    only_one,
    read_record,
    remove_record,
    write_record,
)
from dynamo.pool.report import advertised
from dynamo.times import to_iso, utc_now

READY_TIMEOUT_S = 15.0
#: Time for the daemons to kill running jobs and exit on `down`, in seconds.
STOP_TIMEOUT_S = 10.0
_FOLDERS = ("log", "spool", "execute", "run", "lock", "passwords.d", "tokens.d")
_IDENTITY_FILE = "pool"
_DAEMONS = {
    "personal": {"Negotiator", "Scheduler", "Machine"},
    "manager": {"Negotiator", "Scheduler"},
}


def up(
    *,
    slots: int = 2,
    state: Path | None = None,
    prefix: Path | None = None,
    kind: str = "personal",
    address: str = LOOPBACK,
    public: str = "",
    port: int = 0,
    tell: Callable[[str], None] = lambda _text: None,
) -> tuple[PoolRecord, bool]:
    """Start the pool and wait until it accepts jobs; return its record and whether it had to be started.

    Parameters
    ----------
    slots
        Number of one-core slots; may exceed the machine's cores.
    state
        Folder for all of the pool's files. Default: the user's own.
    prefix
        The HTCondor to use, if `install` was given a prefix.
    kind
        ``personal``: with slots on this machine; ``manager``: without slots, workers join (see `dynamo.pool.manager`).
    address, public, port
        For a manager: the local address to listen on (``0.0.0.0``: all), the address workers use if different, and the
        port (0: a free one, kept across restarts).
    tell
        Called with progress messages.

    Raises
    ------
    MissingPartError
        If HTCondor is not installed, or root cannot run it here.
    RetryableError
        If the pool is not ready within 15 s.
    UsageError
        If the number of slots, the folder name or the address is invalid, or a pool of another kind runs there.
    """
    state = (state or default_state()).absolute()
    if kind not in TEMPLATES:
        raise UsageError("unknown kind of pool", where=kind, expected=", ".join(TEMPLATES))
    if slots < 1:
        raise UsageError("no slots", where="--slots", expected="1 or more")
    with only_one(state):
        record = read_record(state)
        if record is not None:
            if record.running():
                if record.kind != kind:
                    raise UsageError(f"a {record.kind} pool is already running here", where=state, expected=kind)
                # The `up` that started it may have been killed before the pool was ready.
                _wait_ready(record, tell)
                return record, False
            tell("cleaning up after a pool that stopped without `down`")
            _clear(record)
        installation = require_installation(prefix)
        account = daemon_account()
        _prepare(state)
        if kind == "manager":
            create_key(state / "passwords.d" / WORKER_KEY)
        identity = uuid.uuid4().hex[:12]
        config = state / CONFIGURATION
        runtime = find_runtime(prefix)
        head = Head.choose(state, address, public, port) if kind == "manager" else None
        write_configuration(
            config,
            state=state,
            installation=installation,
            pool_id=identity,
            user=account.user,
            slots=slots,
            kind=kind,
            runtime=runtime.program if runtime else None,
            more=head.values() if head else None,
        )
        tell(f"starting HTCondor {installation.version}")
        # Record it before it exists: killing this command must not leave orphaned daemons.
        record = PoolRecord(
            id=identity,
            state=str(state),
            config=str(config),
            bin=str(installation.bin),
            sbin=str(installation.sbin),
            version=installation.version,
            user=account.user,
            slots=slots,
            master_pid=0,
            master_start_ticks=0,
            boot=boot_id(),
            started=to_iso(utc_now()),
            kind=kind,
            address=head.public if head else LOOPBACK,
            port=head.port if head else 0,
        )
        write_record(record)
        try:
            master = _start(state, config, installation, account, identity)
            record = replace(record, master_pid=master.pid, master_start_ticks=master.start_ticks)
            write_record(record)
            _wait_ready(record, tell)
        except BaseException:
            _clear(record)
            raise
        return record, True


def down(state: Path | None = None) -> PoolRecord | None:
    """Stop the pool's daemons and jobs, and nothing else; return the record of what was running, or None.

    The job queue stays in the state folder: queued jobs run after the next `up`.
    """
    state = (state or default_state()).absolute()
    if not state.is_dir():
        return None
    with only_one(state):
        record = read_record(state)
        if record is None:
            return None
        was_running = record.running()
        _clear(record)
        return record if was_running else None


def _prepare(state: Path) -> None:
    for name in _FOLDERS:
        (state / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / "tokens.d" / _IDENTITY_FILE).unlink(missing_ok=True)
    # Addresses of old daemons would be mistaken for those of the new ones.
    create_key(state / "passwords.d" / "POOL")
    for stale in (*state.glob("log/.*_address*"), *state.glob("spool/.*_address*"), state / "master.pid"):
        stale.unlink(missing_ok=True)


def create_key(path: Path) -> None:
    """Create the key with which the pool signs tokens, unless it exists.

    Left to themselves, the daemons create it during startup and disagree about it until restarted.
    """
    if path.is_file():
        return
    # HTCondor may read a key as zero-terminated text after XOR with 0xDEADBEEF.
    usable = bytes(set(range(256)) - {0, 0xDE, 0xAD, 0xBE, 0xEF})
    with replacing(path) as partial:
        partial.touch(mode=0o600)
        partial.write_bytes(bytes(secrets.choice(usable) for _ in range(64)))


def _start(state: Path, config: Path, installation: Installation, account: Account, identity: str) -> Process:
    environment = {**plain_environment(), "CONDOR_CONFIG": str(config), MARK: identity}
    pidfile = state / "master.pid"
    command = [*account.prefix, str(installation.sbin / "condor_master"), "-pidfile", str(pidfile)]
    with (state / "log" / "start.log").open("wb") as log:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=state,
            check=False,
        )
    deadline = time.monotonic() + 5.0
    while done.returncode == 0 and time.monotonic() < deadline:
        try:
            process = find(int(pidfile.read_text()))
        except (OSError, ValueError):
            process = None
        if process is not None:
            return process
        time.sleep(0.02)
    raise RetryableError("condor_master did not start", where=state, expected=_last_words(state))


def _last_words(state: Path) -> str:
    for name in ("start.log", "MasterLog", "CollectorLog"):
        path = state / "log" / name
        lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
        bad = [line for line in lines if "ERROR" in line or "rror:" in line]
        if bad:
            return f"no error in {name}, which says: {bad[-1].strip()}"
    return f"its logs are in {state / 'log'}"


def _wait_ready(record: PoolRecord, tell: Callable[[str], None]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    key = Path(record.state) / "passwords.d" / "POOL"
    token = Path(record.state) / "tokens.d" / _IDENTITY_FILE
    daemons = _DAEMONS[record.kind]
    missing = set(daemons)
    told = False
    while time.monotonic() < deadline:
        if not record.running():
            break
        if not token.exists() and key.is_file():
            _create_token(record, token.name)
        if token.exists():
            missing = daemons - {kind for kind, _ in advertised(record)}
            if not missing:
                return
        if not told:
            tell("waiting for the daemons")
            told = True
        time.sleep(0.1)
    raise RetryableError(
        f"the pool is not ready after {READY_TIMEOUT_S:.0f} s: no report from {', '.join(sorted(missing))}",
        where=record.state,
        expected=_last_words(Path(record.state)),
    )


def _create_token(record: PoolRecord, name: str) -> None:
    account = daemon_account()
    command = [*account.prefix, f"{record.bin}/condor_token_create", "-identity", f"{account.user}@{DOMAIN}"]
    done = subprocess.run(
        [*command, "-key", "POOL", "-token", name],
        capture_output=True,
        text=True,
        env={**os.environ, "CONDOR_CONFIG": record.config},
        check=False,
    )
    if done.returncode != 0:
        raise MissingPartError(f"HTCondor created no token: {(done.stderr or done.stdout).strip()}", where=record.state)


def _clear(record: PoolRecord) -> None:
    """Stop whatever is left of the pool and remove its record."""
    family = record.processes()
    if record.running():
        # SIGQUIT: fast but orderly shutdown of jobs and daemons.
        record.master.send(signal.SIGQUIT)
        wait_gone([record.master], STOP_TIMEOUT_S)
    state = Path(record.state)
    if family or record.boot == boot_id():
        # Daemons whose master was killed, and jobs detached from their daemon.
        family = sorted({*family, *record.processes()}, key=lambda process: process.pid)
        for process in wait_gone(family, 1.0):
            process.send(signal.SIGKILL)
        left = wait_gone(family, 3.0)
        if left:
            numbers = ", ".join(str(process.pid) for process in left)
            raise RetryableError("pool processes do not exit", where=f"pid {numbers}", hint="try again")
    for name in ("execute", "run", "lock"):
        shutil.rmtree(state / name, ignore_errors=True)
    _prepare(state)
    remove_record(state)
