"""Whatever happens to sites, pool and provisioner, a fleet comes to what is wanted, and its jobs are left alone."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.property.fault_world import A, B, FaultyWorld

#: Names of methods of `FaultyWorld`.
MISHAPS = (
    "lose_answers",
    "lose_deletions",
    "refuse",
    "no_host",
    "outage",
    "vanish",
    "stop",
    "hide",
    "startd_dies",
    "black_hole",
    "collector_restarts",
    "pool_is_silent",
    "scale",
    "drain",
    "restart",
    "jobs",
    "time",
)
#: Something happens, where, to how many or for how many minutes, and how long it is until the next thing.
HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(MISHAPS), st.sampled_from([A, B]), st.integers(0, 5), st.sampled_from([0, 10, 40, 100])),
    max_size=14,
)
#: Until all faults have passed, pauses of sites too, and what they cost has been made again.
QUIET_S = 3000.0


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(HAPPENINGS)
# Workers join while the pool is silent, get jobs, and are wanted no longer.
@example([("scale", A, 5, 40), ("pool_is_silent", A, 5, 40), ("jobs", A, 5, 40), ("scale", A, 0, 100)])
# The one that drains counts as long as its server is there.
@example([("scale", A, 5, 100), ("jobs", A, 5, 10), ("drain", A, 1, 100)])
# Answers are lost, and neither site nor pool say what has become of it.
@example(
    [("scale", A, 0, 100), ("lose_answers", A, 5, 0), ("scale", A, 5, 10), ("outage", A, 3, 100), ("jobs", A, 5, 0)]
)
def test_it_comes_to_what_is_wanted(happenings: list[tuple[str, str, int, int]]) -> None:
    with TemporaryDirectory() as folder:
        world = FaultyWorld(Path(folder))
        world.pass_time(120)
        for what, site, number, pause_s in happenings:
            getattr(world, what)(site, number)
            world.pass_time(pause_s)
        world.pass_time(QUIET_S, step_s=25.0)
        world.check_settled()
        world.check_share()
        world.store.close()
