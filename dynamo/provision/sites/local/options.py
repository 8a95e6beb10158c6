"""Options of a local site: sizes, limits, separate worker networks."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dynamo.provision.sites.options import DriverOptions


class FlavorOption(DriverOptions):
    """A worker size offered on this machine."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    cpus: int = Field(ge=1)
    ram_mb: int = Field(ge=64)
    disk_gb: int = Field(default=0, ge=0)
    cost_per_hour: float | None = Field(default=None, ge=0)


class LocalOptions(DriverOptions):
    """Options of a local site."""

    cpus: int | None = Field(
        default=None,
        ge=1,
        description="Total processors for workers; may exceed the machine's, which jobs then share. "
        "Default: eight times the machine's, at least 16.",
    )
    servers: int = Field(default=64, ge=1, description="Maximum number of workers.")
    ram_mb: int | None = Field(default=None, ge=64, description="Total memory for workers, MB. Default: no limit.")
    slots_per_worker: int | None = Field(
        default=None, ge=1, description="Processors each worker offers, regardless of its flavor."
    )
    network: Literal["host", "namespace"] = Field(
        default="host",
        description="`namespace`: a separate network for each worker; requires root and iproute2.",
    )
    network_cidr: str = Field(default="10.213.0.0/24", description="Addresses for these networks, /29 or larger.")
    bandwidth_mbit: float | None = Field(
        default=None, gt=0, description="Bandwidth per worker, Mbit per second, set with `tc`; `namespace` only."
    )
    delay_ms: float = Field(default=0.0, ge=0, description="Delay per packet, ms; `namespace` only.")
    flavors: list[FlavorOption] = Field(
        default_factory=list,
        description="Sizes instead of `worker.1cpu` (1 GiB), `.2cpu`, `.4cpu` and `.8cpu`: "
        "`name`, `cpus`, `ram_mb`, `disk_gb`, `cost_per_hour`.",
    )

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        if self.bandwidth_mbit is not None and self.network != "namespace":
            raise ValueError('bandwidth_mbit requires "network": "namespace": only separate networks can be limited')
        return self
