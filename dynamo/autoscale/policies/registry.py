"""The policies by name: a new one is one module and one line here."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from dynamo.autoscale.model import Policy
from dynamo.autoscale.policies.linear import LinearOptions, LinearPolicy
from dynamo.autoscale.policies.options import Options
from dynamo.autoscale.policies.predictive import PredictivePolicy
from dynamo.autoscale.policies.predictive_options import PredictiveOptions
from dynamo.autoscale.policies.reactive import ReactiveOptions, ReactivePolicy
from dynamo.autoscale.policies.static import StaticOptions, StaticPolicy
from dynamo.errors import InputError

DEFAULT = "predictive"

_POLICIES: dict[str, tuple[type[Options], Callable[[Any], Policy]]] = {
    "static": (StaticOptions, StaticPolicy),
    "reactive": (ReactiveOptions, ReactivePolicy),
    "linear": (LinearOptions, LinearPolicy),
    "predictive": (PredictiveOptions, PredictivePolicy),
}


def policy_names() -> tuple[str, ...]:
    """Return the names of all policies."""
    return tuple(_POLICIES)


def options_model(name: str) -> type[Options]:
    """Return the options of a policy, with their defaults and descriptions; raises `InputError` for an unknown name."""
    if name not in _POLICIES:
        known = ", ".join(_POLICIES)
        raise InputError(f"unknown policy {name!r}{_nearest(name, list(_POLICIES))}", expected=f"one of {known}")
    return _POLICIES[name][0]


def make_policy(name: str, options: Mapping[str, Any] | None = None) -> Policy:
    """Return a policy.

    Parameters
    ----------
    name
        One of `policy_names`.
    options
        As in the configuration; the rest keep their defaults.

    Raises
    ------
    InputError
        If the policy or an option is unknown, or a value is invalid; suggests the closest known name.
    """
    model = options_model(name)
    try:
        checked = model.model_validate(dict(options or {}))
    except ValidationError as error:
        problems = "; ".join(_words(problem, model) for problem in error.errors())
        raise InputError(problems, where=f"policy {name}") from error
    return _POLICIES[name][1](checked)


def _words(problem: Any, model: type[Options]) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = list(model.model_fields)
        return f"{path}: unknown option{_nearest(path, known)}, expected one of {', '.join(known)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path or 'options'}: {message[:1].lower()}{message[1:]} (got {problem.get('input')!r:.60})"


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
