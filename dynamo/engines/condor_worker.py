"""The former place of `dynamo.engines.condor.worker`, which jobs queued by version 0.1 name.

It goes with the next release.
"""

from __future__ import annotations

from dynamo.engines.condor.worker import main

if __name__ == "__main__":
    main()
