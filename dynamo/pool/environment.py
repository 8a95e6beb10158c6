"""Access to the pool: the configuration for `htcondor2` and the environment for HTCondor's tools."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dynamo.errors import MissingPartError, RetryableError
from dynamo.pool.record import PoolRecord, default_state, read_record

#: Configuration of a system-wide pool, as installed by packages.
SYSTEM_CONFIG = Path("/etc/condor/condor_config")
#: The one configuration that `htcondor2` has read in this process, if any; the environment may have changed since.
_read: list[str] = []
_WAY_OUT = "run `dynamo pool up`, or set CONDOR_CONFIG to the configuration of your pool"


class PoolAwayError(MissingPartError, RetryableError):
    """No pool is available right now; it may come back later."""


def use_pool() -> Path:
    """Connect `htcondor2` in this process, already imported or not, to a pool; return its configuration.

    The pool is the one named by ``CONDOR_CONFIG``, otherwise the user's own (`dynamo pool up`), otherwise the system's.
    Sets ``os.environ["CONDOR_CONFIG"]`` and puts the pool's tools on ``PATH``.

    Raises
    ------
    PoolAwayError
        If there is none, or it does not respond.
    MissingPartError
        If the file named by ``CONDOR_CONFIG`` does not exist.
    """
    config, record = _find()
    os.environ["CONDOR_CONFIG"] = str(config)
    if record is not None and record.bin not in os.environ.get("PATH", "").split(os.pathsep):
        # The bindings look for condor_dagman on PATH.
        os.environ["PATH"] = _path(record)
    imported = "htcondor2" in sys.modules
    import htcondor2

    if _read[-1:] != [str(config)]:
        if imported:
            htcondor2.reload_config()
        _read[:] = [str(config)]
    if record is None:
        # Our own pool is known to be up if its master runs; for any other, ask its collector.
        try:
            htcondor2.Collector().query(htcondor2.AdType.Schedd, projection=["Name"])
        except htcondor2.HTCondorException as error:
            raise PoolAwayError(f"the pool does not respond: {error}", where=config, hint=_WAY_OUT) from None
    return config


def pool_environment() -> dict[str, str]:
    """Return this process's environment with ``CONDOR_CONFIG`` and ``PATH`` set for subprocesses that use HTCondor.

    Raises
    ------
    PoolAwayError, MissingPartError
        See `use_pool`.
    """
    config, record = _find()
    environment = {**os.environ, "CONDOR_CONFIG": str(config)}
    if record is not None:
        environment["PATH"] = _path(record)
    return environment


def _path(record: PoolRecord) -> str:
    return os.pathsep.join([record.bin, record.sbin, os.environ.get("PATH", os.defpath)])


def _find() -> tuple[Path, PoolRecord | None]:
    named = os.environ.get("CONDOR_CONFIG")
    if named:
        config = Path(named)
        if named != "ONLY_ENV" and not config.is_file():
            raise MissingPartError("the file named by CONDOR_CONFIG does not exist", where=named, hint=_WAY_OUT)
        record = read_record(config.parent)
        # A record in its folder makes it our pool, up or not; otherwise it is a foreign pool.
        if record is None or record.config != named:
            return config, None
        return config, _running(record)
    record = read_record(default_state())
    if record is not None:
        return Path(record.config), _running(record)
    if SYSTEM_CONFIG.is_file():
        return SYSTEM_CONFIG, None
    raise PoolAwayError("no HTCondor pool is running", hint=_WAY_OUT)


def _running(record: PoolRecord) -> PoolRecord:
    if not record.running():
        raise PoolAwayError("the HTCondor pool has stopped", where=record.state, hint="run `dynamo pool up`")
    return record
