"""Options of a simulated site: sizes, limits, delays, failure rates, outages."""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist
from typing import Any, Self

from pydantic import AwareDatetime, Field, model_validator

from dynamo.provision.sites.base import Flavor
from dynamo.provision.sites.options import DriverOptions

_NORMAL = NormalDist()
#: The 90 % quantile of the standard normal distribution.
_Z90 = _NORMAL.inv_cdf(0.9)


class Delay(DriverOptions):
    """How long something takes, in seconds: constant, or lognormal by its median and 90 % quantile.

    A bare number is a constant. Cloud boot times have a long right tail, as does the lognormal.
    """

    constant_s: float | None = Field(default=None, ge=0)
    median_s: float | None = Field(default=None, gt=0)
    p90_s: float | None = Field(default=None, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"constant_s": value} if isinstance(value, int | float) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.constant_s is not None:
            if self.median_s is not None or self.p90_s is not None:
                raise ValueError("either constant_s, or median_s with p90_s")
        elif self.median_s is None or self.p90_s is None:
            raise ValueError("either constant_s, or median_s with p90_s")
        elif self.p90_s < self.median_s:
            raise ValueError("p90_s must not be less than median_s")
        return self

    def sample_s(self, rng: Random) -> float:
        """Draw a delay; takes exactly one number from ``rng``, so that other draws do not depend on the kind."""
        uniform = rng.random()
        if self.median_s is None or self.p90_s is None:
            return self.constant_s or 0.0
        sigma = math.log(self.p90_s / self.median_s) / _Z90
        return self.median_s * math.exp(sigma * _NORMAL.inv_cdf(max(uniform, 1e-12)))


class FlavorOptions(DriverOptions):
    """One server size."""

    name: str = Field(min_length=1)
    cpus: int = Field(gt=0)
    ram_mb: int = Field(gt=0)
    disk_gb: int = Field(default=20, ge=0)
    gpus: int = Field(default=0, ge=0)
    cost_per_hour: float | None = Field(default=None, ge=0)

    def flavor(self, price_per_cpu_hour: float | None) -> Flavor:
        """Return it as drivers do; a missing price is derived from its cpus."""
        cost = self.cost_per_hour
        if cost is None and price_per_cpu_hour is not None:
            cost = price_per_cpu_hour * self.cpus
        return Flavor(self.name, self.cpus, self.ram_mb, self.disk_gb, self.gpus, cost)


class QuotaOptions(DriverOptions):
    """The project's limits; no limit by default."""

    servers: int | None = Field(default=None, ge=0)
    cpus: int | None = Field(default=None, ge=0)
    ram_mb: int | None = Field(default=None, ge=0)


class SiteOutage(DriverOptions):
    """A period in which the site's API does not answer; servers keep running."""

    start: AwareDatetime
    end: AwareDatetime

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end <= self.start:
            raise ValueError("an outage must end after its start")
        return self


_FLAVORS = tuple(
    FlavorOptions(name=name, cpus=cpus, ram_mb=cpus * 4096, disk_gb=20 * cpus)
    for name, cpus in (("small", 2), ("medium", 4), ("large", 8), ("xlarge", 16))
)


class SimulatedOptions(DriverOptions):
    """Options of a simulated site."""

    flavors: tuple[FlavorOptions, ...] = Field(
        default=_FLAVORS,
        min_length=1,
        description="Sizes, each with `name`, `cpus`, `ram_mb`, `disk_gb`, `gpus`, `cost_per_hour`. Default: `small` "
        "(2 processors, 8 GiB), `medium`, `large`, `xlarge`, each twice the previous one.",
    )
    quota: QuotaOptions = Field(
        default=QuotaOptions(), description="Project limits: `servers`, `cpus`, `ram_mb`. Default: none."
    )
    capacity_servers: int | None = Field(
        default=None, ge=0, description="Maximum servers the site has room for, regardless of the quota."
    )
    boot: Delay = Field(
        default=Delay(median_s=60.0, p90_s=120.0),
        description="Time from request to running server, s: a number, or a distribution by `median_s` and `p90_s` "
        "(default: 60 and 120).",
    )
    join: Delay = Field(
        default=Delay(constant_s=15.0), description="Time from there to joining the pool, likewise. Default: 15."
    )
    delete: Delay = Field(
        default=Delay(constant_s=5.0),
        description="Time from delete request to deletion, likewise. Default: 5.",
    )
    failure_rate: float = Field(default=0.0, ge=0, le=1, description="Share of servers that end in ERROR.")
    no_capacity_rate: float = Field(
        default=0.0, ge=0, le=1, description="Share that soon end in ERROR because no host is available."
    )
    no_join_rate: float = Field(default=0.0, ge=0, le=1, description="Share that run but never join the pool.")
    list_lag_s: float = Field(default=0.0, ge=0, description="How long new servers are missing from lists, s.")
    price_per_cpu_hour: float | None = Field(default=None, ge=0, description="Price for flavors without one.")
    api_s: Delay = Field(
        default=Delay(constant_s=0.0), description="Duration of one call, s; added up, not waited for."
    )
    outages: tuple[SiteOutage, ...] = Field(
        default=(), description="Periods in which the API does not answer: a list of `start` and `end`, ISO 8601."
    )
    seed: int = Field(default=0, description="Random seed; the same seed and calls give the same site.")

    @model_validator(mode="after")
    def _different(self) -> Self:
        names = [flavor.name for flavor in self.flavors]
        if len(set(names)) < len(names):
            raise ValueError("two flavors with the same name")
        return self
