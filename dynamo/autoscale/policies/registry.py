"""The policies by name: built-in ones, and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from dynamo.autoscale.model import Policy
from dynamo.autoscale.policies.options import PolicyOptions
from dynamo.documents.problems import did_you_mean
from dynamo.doors import POLICIES
from dynamo.errors import InputError


def policy_names() -> tuple[str, ...]:
    """Return the names of all policies that can be used."""
    return tuple(POLICIES.usable())


def options_model(name: str) -> type[PolicyOptions]:
    """Return the options of a policy, with their defaults and descriptions.

    Raises
    ------
    InputError
        If there is no such policy; names the nearest one.
    PluginError
        If it is one of another package that cannot be used.
    """
    if name not in POLICIES:
        known = POLICIES.names()
        raise InputError(f"unknown policy {name!r}{did_you_mean(name, known)}", expected=f"one of {', '.join(known)}")
    options: type[PolicyOptions] = POLICIES.load(name).options
    return options


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
    PluginError
        If it is one of another package that cannot be used.
    """
    model = options_model(name)
    try:
        checked = model.model_validate(dict(options or {}))
    except ValidationError as error:
        problems = "; ".join(_words(problem, model) for problem in error.errors())
        raise InputError(problems, where=f"policy {name}") from error
    with POLICIES.blamed(name):
        policy: Policy = POLICIES.load(name).make(checked)
        return policy


def _words(problem: Any, model: type[PolicyOptions]) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = list(model.model_fields)
        return f"{path}: unknown option{did_you_mean(path, known)}, expected one of {', '.join(known)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path or 'options'}: {message[:1].lower()}{message[1:]} (got {problem.get('input')!r:.60})"
