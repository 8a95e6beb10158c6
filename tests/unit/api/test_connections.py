"""Which connection must go when a client holds too many without a request."""

from __future__ import annotations

from dynamo.api.limits import WaitingRoom


def test_a_client_crowds_out_only_itself() -> None:
    room: WaitingRoom[int] = WaitingRoom(per_client=2, total=9)
    assert [room.enter("bad", number) for number in (1, 2)] == [None, None]
    assert room.enter("good", 10) is None
    assert [room.enter("bad", number) for number in (3, 4)] == [1, 2]
    assert len(room) == 3


def test_a_full_room_loses_the_oldest_of_the_client_with_the_most() -> None:
    room: WaitingRoom[int] = WaitingRoom(per_client=9, total=4)
    for client, number in (("a", 1), ("b", 2), ("b", 3), ("b", 4)):
        assert room.enter(client, number) is None
    assert room.enter("c", 5) == 2


def test_who_has_left_takes_no_place() -> None:
    room: WaitingRoom[int] = WaitingRoom(per_client=1, total=1)
    room.leave("a", 1)
    assert room.enter("a", 1) is None
    assert room.enter("a", 1) is None
    room.leave("a", 1)
    room.leave("a", 1)
    assert len(room) == 0
    assert room.enter("a", 2) is None
