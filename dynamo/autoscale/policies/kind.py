"""What a policy is to the rest: its options, and what makes it of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dynamo.autoscale.model import Policy
from dynamo.autoscale.policies.options import PolicyOptions


@dataclass(frozen=True)
class PolicyKind:
    """One policy, as the configuration names it.

    Attributes
    ----------
    options
        The model of its options, with their defaults and descriptions.
    make
        Makes the policy of its options.
    """

    options: type[PolicyOptions]
    make: Callable[[Any], Policy]
