"""What a site of this machine may be told: sizes, limits, networks of the workers' own."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from dynamo.provision.sites.options import DriverOptions


class FlavorOption(DriverOptions):
    """A size that an operator offers on this machine."""

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
        description="Processors that workers get in all; more than the machine has are shared by their jobs. "
        "Without it eight times the machine's, at least 16.",
    )
    servers: int = Field(default=64, ge=1, description="Most workers.")
    ram_mb: int | None = Field(default=None, ge=64, description="Memory that workers get in all, MB; no limit without.")
    slots_per_worker: int | None = Field(
        default=None, ge=1, description="Processors that each worker offers, whatever its flavour says."
    )
    network: Literal["host", "namespace"] = Field(
        default="host",
        description="`namespace`: each worker has a network of its own; needs root and iproute2.",
    )
    network_cidr: str = Field(default="10.213.0.0/24", description="Addresses of those networks, /29 or larger.")
    bandwidth_mbit: float | None = Field(
        default=None, gt=0, description="Bandwidth of each worker, Mbit per second, by `tc`; with `namespace` only."
    )
    delay_ms: float = Field(default=0.0, ge=0, description="Delay of each packet, ms; with `namespace` only.")
    flavors: list[FlavorOption] = Field(
        default_factory=list,
        description="Sizes in place of `worker.1cpu` (1 GiB), `.2cpu`, `.4cpu` and `.8cpu`: "
        "`name`, `cpus`, `ram_mb`, `disk_gb`, `cost_per_hour`.",
    )

    @model_validator(mode="after")
    def _shaped(self) -> Self:
        if self.bandwidth_mbit is not None and self.network != "namespace":
            raise ValueError('"network": "namespace" beside bandwidth_mbit: only a network of its own can be limited')
        return self
