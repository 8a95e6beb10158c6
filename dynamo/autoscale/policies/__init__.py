"""Scaling policies, one module each: pure functions of time, demand and fleet, selected by name."""

from __future__ import annotations

from dynamo.autoscale.policies.registry import make_policy, options_model, policy_names

__all__ = ["make_policy", "options_model", "policy_names"]
