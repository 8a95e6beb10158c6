"""Volumes that lost their worker. Stand-ins: no control plane for tests has a volume service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

from dynamo.provision.sites.openstack import volumes
from dynamo.provision.sites.openstack.connection import CloudAccess
from dynamo.provision.sites.openstack.marks import description


class Cinder:
    """A volume service in memory, and the access to it."""

    def __init__(self, **stored: tuple[str, str]) -> None:
        self.stored = {
            name.replace("_", "-"): SimpleNamespace(
                id=name, name=name.replace("_", "-"), status=status, description=text
            )
            for name, (status, text) in stored.items()
        }
        self.block_storage = self
        self.there = True

    @contextmanager
    def use(self, doing: str) -> Iterator[Any]:
        assert doing
        yield self

    def has_service(self, connection: object, service_type: str) -> bool:
        assert (connection, service_type) == (self, "block-storage")
        return self.there

    def volumes(self, *, details: bool) -> list[Any]:
        assert details
        return list(self.stored.values())

    def delete_volume(self, volume_id: str, *, ignore_missing: bool) -> None:
        assert ignore_missing
        del self.stored[volume_id.replace("_", "-")]


def cinder() -> tuple[Cinder, CloudAccess]:
    ours = description("f1")
    made = Cinder(
        w_1_vol0=("available", ours),
        w_2_vol0=("available", ours),
        w_3_vol0=("in-use", ours),
        w_4_vol0=("error", ours),
        w_5_vol0=("available", description("f2")),
        w_6_vol0=("available", "somebody's"),
    )
    return made, cast("CloudAccess", made)


def test_volumes_of_workers_that_are_gone_are_deleted() -> None:
    made, access = cinder()
    assert volumes.sweep(access, fleet="f1", keep={"w-2", "w"}) == []
    assert volumes.sweep(access, fleet="f1", keep={"w-2"}) == ["volume w-1-vol0", "volume w-4-vol0"]
    assert set(made.stored) == {"w-2-vol0", "w-3-vol0", "w-5-vol0", "w-6-vol0"}


def test_attached_volumes_are_left_for_the_next_time() -> None:
    made, access = cinder()
    volumes.sweep(access, fleet="f1", keep=())
    assert volumes.left(access, fleet="f1") == ["w-3-vol0"]
    made.stored["w-3-vol0"].status = "deleting"
    assert volumes.left(access, fleet="f1") == []


def test_a_site_without_volumes_has_none_to_sweep() -> None:
    made, access = cinder()
    made.there = False
    assert volumes.sweep(access, fleet="f1", keep=()) == []
    assert volumes.left(access, fleet="f1") == []
