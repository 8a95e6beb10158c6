"""The states of a backfill, and what is done next of an active one."""

from __future__ import annotations

ACTIVE = "active"
PAUSED = "paused"
DONE = "done"
CANCELLED = "cancelled"
STATES = (ACTIVE, PAUSED, DONE, CANCELLED)
#: Something is still to be done.
OPEN = frozenset({ACTIVE, PAUSED})

#: List the files of a folder, make runs, wait for the last of them.
LIST = "list"
MAKE = "make"
FINISH = "finish"
