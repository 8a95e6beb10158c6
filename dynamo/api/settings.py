"""How the API behaves; no library is needed to say so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ApiSettings:
    """How the API behaves.

    Attributes
    ----------
    local_files
        Whether specs from afar may name files of this machine and run scripts on it.
    requests_per_s, burst
        What each token may ask for; so many at once, and so many a second for long.
    failures_per_s, failures_burst
        The same for each address that sends no valid token.
    """

    local_files: bool = False
    requests_per_s: float = 50.0
    burst: float = 200.0
    failures_per_s: float = 1.0
    failures_burst: float = 20.0
