"""HTCondor's own programs, pointed at one pool.

They are run as processes of their own: the Python bindings read one configuration for the life of a process, and a call
into them that waits for a silent daemon cannot be given up.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dynamo.pool.account import daemon_account
from dynamo.pool.record import PoolRecord
from dynamo.provision.pool_link import PoolSilentError

#: A pool that has not answered by then is taken for silent.
TIMEOUT_S = 8.0


@dataclass(frozen=True)
class Tools:
    """The programs of the pool that ``record`` tells of."""

    record: PoolRecord
    timeout_s: float = TIMEOUT_S

    def run(self, program: str, *arguments: str, text: str = "", as_daemon: bool = False) -> str:
        """Run a program and return what it printed.

        Parameters
        ----------
        text
            Given to it on its standard input.
        as_daemon
            Whether it must be the account of the daemons, as to sign a token.

        Raises
        ------
        PoolSilentError
            If it fails or does not come to an end in time.
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
                f"{program} had no answer within {self.timeout_s:g} s", where=self.record.config
            ) from None
        except OSError as error:
            raise PoolSilentError(f"{program} cannot be run: {error.strerror}", where=self.record.bin) from None
        if done.returncode != 0:
            raise PoolSilentError(
                f"{program} failed: {_last_line(done.stderr or done.stdout)}", where=self.record.config
            )
        return done.stdout


def _last_line(text: str) -> str:
    # Addresses of daemons fill lines and tell a person nothing.
    lines = [re.sub(r"<[^<>]*>", "<...>", line).strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-2:])[:400] if lines else "it said nothing"
