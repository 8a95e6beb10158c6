"""How other parts reach the pool: the configuration for `htcondor2` and the environment for HTCondor's tools."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from dynamo.errors import MissingPartError, RetryableError
from dynamo.pool.record import PoolRecord, default_state, read_record

#: Where packages put the configuration of a pool that an administrator set up.
SYSTEM_CONFIG = Path("/etc/condor/condor_config")
_WAY_OUT = "run `dynamo pool up`, or set CONDOR_CONFIG to the configuration of your pool"


class PoolAwayError(MissingPartError, RetryableError):
    """There is no pool at the moment; it may be up again later."""


def use_pool() -> Path:
    """Make `htcondor2` in this process, imported before or after, speak to a pool; return its configuration.

    The pool is the one that ``CONDOR_CONFIG`` names; else the user's own (`dynamo pool up`); else the one of the
    system. It sets ``os.environ["CONDOR_CONFIG"]`` and puts the pool's tools on ``PATH``.

    Raises
    ------
    PoolAwayError
        If there is none, or it does not answer.
    MissingPartError
        If ``CONDOR_CONFIG`` names no file.
    """
    config, record = _find()
    changed = os.environ.get("CONDOR_CONFIG") != str(config)
    os.environ["CONDOR_CONFIG"] = str(config)
    if record is not None and record.bin not in os.environ.get("PATH", "").split(os.pathsep):
        # The bindings look for condor_dagman there.
        os.environ["PATH"] = _path(record)
    loaded = "htcondor2" in sys.modules
    import htcondor2

    if loaded and changed:
        htcondor2.reload_config()
    if record is None:
        # A pool of our own whose master runs is known to be there; of another one only its collector can tell.
        try:
            htcondor2.Collector().query(htcondor2.AdType.Schedd, projection=["Name"])
        except htcondor2.HTCondorException as error:
            raise PoolAwayError(f"the pool does not answer: {error}", where=config, hint=_WAY_OUT) from None
    return config


def pool_environment() -> dict[str, str]:
    """Return the environment for subprocesses that use HTCondor: this process's, ``CONDOR_CONFIG`` and ``PATH``.

    Raises
    ------
    PoolAwayError, MissingPartError
        As `use_pool`.
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
            raise MissingPartError("CONDOR_CONFIG names no file", where=named, hint=_WAY_OUT)
        record = read_record(config.parent)
        # Its folder is a pool of ours, up or not; else it is somebody's pool that we know nothing of.
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
        raise PoolAwayError("the HTCondor pool has ended", where=record.state, hint="run `dynamo pool up`")
    return record
