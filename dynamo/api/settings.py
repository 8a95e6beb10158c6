"""Settings of the API, without its libraries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ApiSettings:
    """Settings of the API.

    Attributes
    ----------
    local_files
        Whether remote specs may name files of this machine and run scripts on it.
    requests_per_s, burst
        Rate limit of each token: requests per second in the long run, and at once.
    failures_per_s, failures_burst
        The same for each address without a valid token.
    """

    local_files: bool = False
    requests_per_s: float = 50.0
    burst: float = 200.0
    failures_per_s: float = 1.0
    failures_burst: float = 20.0
