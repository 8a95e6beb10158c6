"""The judgement on a worker, as a table: each state, with all that site and pool may say, young and old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from dynamo.provision.deciding.breaker import BreakerSettings
from dynamo.provision.deciding.health import HealthBook
from dynamo.provision.deciding.judging import judge
from dynamo.provision.deciding.lifecycle import (
    COMING,
    FINAL,
    LEAVING,
    LIVING,
    SERVING,
    TRANSITIONS,
    Patience,
    PoolPresence,
    Sight,
    SitePresence,
    WorkerState,
    WorkerVerdict,
    observe,
    sources,
)
from dynamo.provision.deciding.live import Live
from dynamo.provision.deciding.removals import Removals
from dynamo.provision.deciding.sights import SiteIndex, WatchedSince, site_presence
from dynamo.provision.pool_link import WorkerSlots
from dynamo.provision.sites.base import Server, ServerStatus
from dynamo.provision.sites.runner import Listing

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATIENCE = Patience(boot_s=900, join_s=300, missing_s=120, settle_s=30)
YOUNG, OLD = timedelta(seconds=10), timedelta(seconds=1000)

POOLS = (PoolPresence.UNKNOWN, PoolPresence.ABSENT, PoolPresence.PRESENT, PoolPresence.DRAINED)
CODES = {
    ".": None,
    "B": WorkerState.BOOTING,
    "J": WorkerState.JOINING,
    "R": WorkerState.READY,
    "G": WorkerState.RELEASING,
    "E": WorkerState.RELEASED,
    "F": WorkerState.FAILED,
    "L": WorkerState.LOST,
}
#: What the site says: nothing known, surely gone, or the status of the server.
SITE_WORDS = ("unknown", "gone", *(status.value for status in ServerStatus if status != "unknown"), "odd")

#: State, site | a young worker, an old one; each by what the pool says: unknown, absent, present, drained.
#: "." stays, B booting, J joining, R ready, G releasing, E released, F failed, L lost.
TABLE = """
requested unknown  | ..RR ..RR
requested gone     | ..RR ..RR
requested building | BBRR BBRR
requested active   | JJRR JJRR
requested stopped  | FFFF FFFF
requested error    | FFRR FFRR
requested deleting | FFFF FFFF
requested odd      | BBRR BBRR
booting   unknown  | ..RR ..RR
booting   gone     | LLRR LLRR
booting   building | ..RR FFRR
booting   active   | JJRR JJRR
booting   stopped  | FFFF FFFF
booting   error    | FFRR FFRR
booting   deleting | FFFF FFFF
booting   odd      | ..RR FFRR
joining   unknown  | ..RR .FRR
joining   gone     | LLRR LLRR
joining   building | ..RR .FRR
joining   active   | ..RR .FRR
joining   stopped  | FFFF FFFF
joining   error    | FFRR FFRR
joining   deleting | FFFF FFFF
joining   odd      | ..RR .FRR
ready     unknown  | .... .F..
ready     gone     | LL.. LL..
ready     building | .... .F..
ready     active   | .... .F..
ready     stopped  | FFFF FFFF
ready     error    | .F.. .F..
ready     deleting | FFFF FFFF
ready     odd      | .... .F..
draining  unknown  | ...G GGGG
draining  gone     | LL.G LLGG
draining  building | ...G GGGG
draining  active   | ...G GGGG
draining  stopped  | FFFF FFFF
draining  error    | .F.G GFGG
draining  deleting | FFFF FFFF
draining  odd      | ...G GGGG
releasing unknown  | .... ....
releasing gone     | EEEE EEEE
releasing building | .... ....
releasing active   | .... ....
releasing stopped  | .... ....
releasing error    | .... ....
releasing deleting | .... ....
releasing odd      | .... ....
failed    unknown  | GGGG GGGG
failed    gone     | EEEE EEEE
failed    building | GGGG GGGG
failed    active   | GGGG GGGG
failed    stopped  | GGGG GGGG
failed    error    | GGGG GGGG
failed    deleting | GGGG GGGG
failed    odd      | GGGG GGGG
"""


def sight(state: WorkerState, site: str, pool: PoolPresence, age: timedelta) -> Sight:
    presence = {"unknown": SitePresence.UNKNOWN, "gone": SitePresence.ABSENT}.get(site, SitePresence.PRESENT)
    server = None
    if presence is SitePresence.PRESENT:
        server = Server("id", "worker", ServerStatus.UNKNOWN if site == "odd" else ServerStatus(site))
    been_there = state in (WorkerState.READY, WorkerState.DRAINING)
    return Sight(
        state=state,
        since=NOW - age,
        server=server,
        site=presence,
        listed_at=NOW if server is not None else None,
        slots=WorkerSlots("worker", 2, 0) if pool in (PoolPresence.PRESENT, PoolPresence.DRAINED) else None,
        pool=pool,
        seen_at=NOW - age if been_there else None,
        watched_since=NOW - timedelta(days=1),
        drain_deadline=NOW - age + timedelta(seconds=500) if state is WorkerState.DRAINING else None,
        has_server_id=state is not WorkerState.REQUESTED,
    )


def rows() -> list[tuple[WorkerState, str, str, str]]:
    found = []
    for line in TABLE.strip().splitlines():
        subject, _, outcome = line.partition("|")
        state, site = subject.split()
        young, old = outcome.split()
        found.append((WorkerState(state), site, young, old))
    return found


def test_the_table_is_complete() -> None:
    assert [(state, site) for state, site, _, _ in rows()] == [
        (state, site) for state in WorkerState if state not in FINAL for site in SITE_WORDS
    ]


@pytest.mark.parametrize(("state", "site", "young", "old"), rows())
def test_observe(state: WorkerState, site: str, young: str, old: str) -> None:
    for age, codes in ((YOUNG, young), (OLD, old)):
        for pool, code in zip(POOLS, codes, strict=True):
            verdict = observe(sight(state, site, pool, age), NOW, PATIENCE)
            assert (verdict.to if verdict else None) == CODES[code], (age, pool)


@pytest.mark.parametrize("state", list(WorkerState))
def test_every_verdict_is_a_way_of_the_table(state: WorkerState) -> None:
    for site, pool, age in product(SITE_WORDS, POOLS, (YOUNG, OLD)):
        verdict = observe(sight(state, site, pool, age), NOW, PATIENCE)
        assert verdict is None or verdict.to in TRANSITIONS[state]
        assert verdict is None or verdict.reason


def test_the_end_is_the_end() -> None:
    for state in FINAL:
        assert not TRANSITIONS[state]
        for site, pool, age in product(SITE_WORDS, POOLS, (YOUNG, OLD)):
            assert observe(sight(state, site, pool, age), NOW, PATIENCE) is None


def test_the_sets_of_states() -> None:
    assert set(TRANSITIONS) == set(WorkerState)
    assert set(WorkerState) == LIVING | FINAL
    assert not LIVING & FINAL
    assert not SERVING & LEAVING
    assert COMING < SERVING
    for state in WorkerState:
        assert sources(state) == {before for before in WorkerState if state in TRANSITIONS[before]}


def test_from_everywhere_to_an_end() -> None:
    for state in LIVING:
        seen, todo = {state}, [state]
        while todo:
            fresh = TRANSITIONS[todo.pop()] - seen
            seen |= fresh
            todo += fresh
        assert WorkerState.RELEASED in seen


def verdict_of(**changes: Any) -> WorkerVerdict | None:
    seen = sight(WorkerState.READY, "active", PoolPresence.ABSENT, OLD)
    return observe(replace(seen, **changes), NOW, PATIENCE)


def test_nobody_is_missing_before_somebody_has_looked_for_long_enough() -> None:
    found = verdict_of()
    assert found is not None
    assert found.to is WorkerState.FAILED
    for silent_until in (NOW, NOW - timedelta(seconds=100)):
        assert verdict_of(watched_since=silent_until) is None
    joining = WorkerState.JOINING
    assert verdict_of(state=joining, seen_at=None) is not None
    assert verdict_of(state=joining, seen_at=None, watched_since=NOW - timedelta(seconds=100)) is None


def test_a_worker_that_drains_is_not_gone_because_one_look_missed_it() -> None:
    late = NOW + timedelta(hours=1)
    seconds_ago = NOW - timedelta(seconds=5)
    assert verdict_of(state=WorkerState.DRAINING, drain_deadline=late, seen_at=seconds_ago) is None
    assert verdict_of(state=WorkerState.DRAINING, drain_deadline=late) is not None
    # One that was never seen has no jobs.
    assert verdict_of(state=WorkerState.DRAINING, drain_deadline=late, since=seconds_ago, seen_at=None) is not None


def test_an_old_list_does_not_show_that_a_boot_takes_long() -> None:
    booting = {"state": WorkerState.BOOTING, "server": Server("id", "worker", ServerStatus.BUILDING)}
    assert verdict_of(**booting) is not None
    assert verdict_of(**booting, listed_at=NOW - timedelta(seconds=500)) is None


def test_what_speaks_against_the_site() -> None:
    error = Server("id", "worker", ServerStatus.ERROR, fault="No valid host was found.", no_capacity=True)
    found = verdict_of(state=WorkerState.BOOTING, server=error)
    assert found is not None
    assert found.blame
    assert found.no_capacity
    assert "No valid host" in found.reason
    stopped = Server("id", "worker", ServerStatus.STOPPED)
    ready, booting = verdict_of(server=stopped), verdict_of(server=stopped, state=WorkerState.BOOTING)
    assert ready is not None
    assert booting is not None
    assert not ready.blame
    assert booting.blame


def test_a_deadline_tells_how_many_jobs_were_left() -> None:
    slots = WorkerSlots("worker", 2, 2, jobs=("1.0", "2.0"))
    found = verdict_of(state=WorkerState.DRAINING, drain_deadline=NOW, slots=slots, pool=PoolPresence.PRESENT)
    assert found is not None
    assert "2 jobs" in found.reason


def row(**changes: Any) -> SimpleNamespace:
    values = {"name": "worker", "server_id": "", "unsure": True, "attempted_at": NOW, "requested_at": NOW}
    return SimpleNamespace(**{**values, "started_at": None, **changes})


def index_of(*servers: Server, began_at: datetime = NOW) -> SiteIndex:
    return SiteIndex.of(Listing(servers, began_at))


def test_a_lost_request_is_waited_for_from_the_later_of_its_sending_and_our_beginning() -> None:
    for attempted, began, settled in ((0, -900, 30), (0, 60, 90)):
        given = row(attempted_at=NOW + timedelta(seconds=attempted))
        watch = WatchedSince(NOW + timedelta(seconds=began), NOW)
        for second, expected in ((settled, SitePresence.UNKNOWN), (settled + 1, SitePresence.ABSENT)):
            index = index_of(began_at=NOW + timedelta(seconds=second))
            assert site_presence(given, index, None, PATIENCE, watch) is expected


def test_a_request_that_was_never_made_is_absent_without_a_list() -> None:
    assert site_presence(row(unsure=False), None, None, PATIENCE, WatchedSince(NOW, NOW)) is SitePresence.ABSENT


def test_a_known_server_is_absent_only_in_a_later_list() -> None:
    given, watch = row(server_id="id", unsure=False, started_at=NOW), WatchedSince(NOW, NOW)
    assert site_presence(given, index_of(), None, PATIENCE, watch) is SitePresence.UNKNOWN
    later = index_of(began_at=NOW + timedelta(seconds=1))
    assert site_presence(given, later, None, PATIENCE, watch) is SitePresence.ABSENT


def test_what_a_list_shows_of_a_worker_under_an_older_id_is_no_orphan() -> None:
    lease = Server("lease:1", "worker", ServerStatus.BUILDING, unfinished=True)
    server = Server("id", "worker", ServerStatus.BUILDING)
    mine = [row(server_id="id")]
    assert index_of(lease).foreigners(mine) == []
    assert [found.server.id for found in index_of(lease, server).foreigners(mine)] == ["lease:1"]
    assert [found.server.id for found in index_of(lease, server).foreigners([])] == ["id", "lease:1"]


def test_a_server_that_the_pool_showed_before_its_site_is_stored_when_the_site_does() -> None:
    server = Server("id", "worker", ServerStatus.ACTIVE)
    seen = replace(sight(WorkerState.READY, "active", PoolPresence.PRESENT, YOUNG), server=server)
    live = Live(row(site="A"), seen, WorkerState.READY)
    found = judge([live], {}, HealthBook({}, BreakerSettings(), lambda: NOW), Removals(0.25, 10), NOW)
    assert found.moves == []
    assert [(one.row.name, values["server_id"]) for one, values in found.found] == [("worker", "id")]
