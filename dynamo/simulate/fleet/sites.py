"""Simulated clouds of a fleet: flavors, boot times, billing; and the fleet's spec."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamo.autoscale.model import BootTimes, GroupOption
from dynamo.provision.simulated.options import SimulatedOptions

#: Cycle of the simulated provisioner, s: the default in specs.
CYCLE_S = 10.0


@dataclass(frozen=True)
class Cloud:
    """One simulated site with one group of workers.

    Attributes
    ----------
    boot_median_s, boot_p90_s, join_s
        Time from request to running server, and from there to joining the pool.
    billing_s
        Billing unit; 1 means per second.
    price
        Price per core-hour.
    """

    site: str
    group: str
    cpus: int
    most: int
    boot_median_s: float
    boot_p90_s: float
    join_s: float = 20.0
    billing_s: float = 1.0
    price: float = 0.04
    failure_rate: float = 0.0
    drain_deadline_s: float = 3600.0

    @property
    def cost_per_hour(self) -> float:
        """Price of a worker per hour."""
        return self.price * self.cpus

    def boot_times(self, cycle_s: float) -> BootTimes:
        """Return boot times as learned after a while: from the request until a worker is seen ready."""
        # The request waits for one cycle, the call for the next, and the worker is seen in a third.
        looks_s = 2.0 * cycle_s
        return BootTimes(
            median_s=self.boot_median_s + self.join_s + looks_s,
            p90_s=self.boot_p90_s + self.join_s + looks_s + 0.5 * cycle_s,
            observations=50,
        )

    def option(self, *, is_open: bool, cycle_s: float) -> GroupOption:
        """Return the cloud as policies see it."""
        return GroupOption(
            group=self.group,
            site=self.site,
            least=0,
            most=self.most,
            cpus=self.cpus,
            cost_per_hour=self.cost_per_hour,
            boot=self.boot_times(cycle_s),
            billing_s=self.billing_s,
            failure_rate=self.failure_rate,
            open=is_open,
            drain_deadline_s=self.drain_deadline_s,
        )

    def options(self) -> dict[str, Any]:
        """Return the options of the simulated driver."""
        boot: Any = {"median_s": self.boot_median_s, "p90_s": self.boot_p90_s}
        options = {
            "flavors": [{"name": "worker", "cpus": self.cpus, "ram_mb": 4096 * self.cpus}],
            "boot": boot if self.boot_p90_s > self.boot_median_s else self.boot_median_s,
            "join": self.join_s,
            "delete": 5.0,
            "failure_rate": self.failure_rate,
        }
        SimulatedOptions.read(options, where=self.site)
        return options

    def paid_s(self, lived_s: float) -> float:
        """Return the paid time of a worker with this lifetime."""
        if self.billing_s <= 1.0:
            return lived_s
        return math.ceil(lived_s / self.billing_s - 1e-9) * self.billing_s


def default_clouds(cpus: int, peak_cores: float) -> tuple[Cloud, ...]:
    """Return two clouds: a fast one billed by the second, and a slower, cheaper one billed by the hour.

    Each has room for twice the peak.
    """
    most = max(4, math.ceil(2.0 * peak_cores / cpus) + 2)
    return (
        Cloud("Quick:one", "quick", cpus, most, 75.0, 130.0, price=0.040, failure_rate=0.02),
        Cloud("Slow:two", "slow", cpus, most, 240.0, 420.0, billing_s=3600.0, price=0.032, failure_rate=0.05),
    )


def fleet_spec(clouds: tuple[Cloud, ...], wanted: Mapping[str, int], cycle_s: float = CYCLE_S) -> dict[str, Any]:
    """Return the spec of a fleet on these clouds."""
    drain_s = max(cloud.drain_deadline_s for cloud in clouds)
    return {
        "name": "fleet",
        "sites": {
            cloud.site: {
                "driver": "simulated",
                "options": cloud.options(),
                "max_workers": cloud.most,
                "boot_timeout_s": max(900.0, 3.0 * cloud.boot_p90_s),
            }
            for cloud in clouds
        },
        "compute": [
            {
                "name": cloud.group,
                "site": cloud.site,
                "count": wanted.get(cloud.group, 0),
                "max": cloud.most,
                "workerCpus": cloud.cpus,
                "costPerHour": cloud.cost_per_hour,
            }
            for cloud in clouds
        ],
        "policy": {"cycle_s": cycle_s, "drain_deadline_s": drain_s},
    }
