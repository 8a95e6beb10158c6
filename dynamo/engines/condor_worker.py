"""Old location of `dynamo.engines.condor.worker`, still named by jobs queued by version 0.1.

To be removed in the next release.
"""

from __future__ import annotations

from dynamo.engines.condor.worker import main

if __name__ == "__main__":
    main()
