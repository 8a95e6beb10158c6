"""HTCondor's programs, configured for one pool.

They run as separate processes: the Python bindings use one configuration for the life of a process, and a call
into them that waits for a silent daemon cannot be interrupted.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dynamo.pool.account import daemon_account
from dynamo.pool.manager import WORKER_DOMAIN
from dynamo.pool.record import PoolRecord
from dynamo.provision.pool_link import PoolSilentError

#: A pool that has not answered by then counts as silent.
TIMEOUT_S = 8.0
_HOST = re.compile(rf"(?:slot[0-9_]+@)?(?P<worker>[^@]+)\.{re.escape(WORKER_DOMAIN)}")


def worker_of(host: str) -> str:
    """Return the worker whose host or slot HTCondor names, or an empty string if it is none."""
    found = _HOST.fullmatch(host)
    return found["worker"] if found is not None else ""


@dataclass(frozen=True)
class Tools:
    """The programs for the pool in ``record``."""

    record: PoolRecord
    timeout_s: float = TIMEOUT_S

    def run(self, program: str, *arguments: str, text: str = "", as_daemon: bool = False) -> str:
        """Run a program and return what it printed.

        Parameters
        ----------
        text
            Passed on standard input.
        as_daemon
            Whether to run as the daemons' account, e.g. to sign a token.

        Raises
        ------
        PoolSilentError
            If it fails or does not finish in time.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("CONDOR_", "_CONDOR_"))}
        environment = {
            **kept,
            "CONDOR_CONFIG": self.record.config,
            "_CONDOR_QUERY_TIMEOUT": str(max(1, int(self.timeout_s))),
            "_CONDOR_TOOL_TIMEOUT_MULTIPLIER": "1",
        }
        prefix = daemon_account().prefix if as_daemon else ()
        try:
            done = subprocess.run(
                [*prefix, str(Path(self.record.bin) / program), *arguments],
                input=text,
                capture_output=True,
                text=True,
                errors="replace",
                env=environment,
                timeout=self.timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PoolSilentError(
                f"{program} got no answer within {self.timeout_s:g} s", where=self.record.config
            ) from None
        except OSError as error:
            raise PoolSilentError(f"cannot run {program}: {error.strerror}", where=self.record.bin) from None
        if done.returncode != 0:
            raise PoolSilentError(
                f"{program} failed: {_last_line(done.stderr or done.stdout)}", where=self.record.config
            )
        return done.stdout


def _last_line(text: str) -> str:
    # Daemon addresses fill lines and tell users nothing.
    lines = [re.sub(r"<[^<>]*>", "<...>", line).strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-2:])[:400] if lines else "no output"
