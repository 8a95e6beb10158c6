"""Load a fleet spec or plain Mobius requests from a file or JSON data; report every error with its JSON path."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dynamo.documents.loading import parse_json
from dynamo.documents.problems import Problems
from dynamo.errors import InputError, NotFoundError
from dynamo.provision.spec import mobius
from dynamo.provision.spec.checks import SpecParts, check, plain_name
from dynamo.provision.spec.errors import SpecError, add_validation_errors, spec_path
from dynamo.provision.spec.fleet import (
    BreakerPolicy,
    ComputeSpec,
    FleetSpec,
    NetworkSpec,
    PolicySpec,
    ScriptSpec,
    StitchSpec,
    StorageSpec,
)
from dynamo.provision.spec.options import add_option_errors
from dynamo.provision.spec.sites import SiteSpec
from dynamo.provision.spec.types import MAX_SCRIPT_BYTES, Part

MAX_BYTES = 1024 * 1024
_MAX_DEPTH = 16
_MAX_VALUES = 100_000
_LISTS: dict[str, type[Part]] = {
    "compute": ComputeSpec,
    "network": NetworkSpec,
    "storage": StorageSpec,
    "stitch": StitchSpec,
    "script": ScriptSpec,
}
#: Checks of these do not depend on other fields of the same part, which may have been left out as invalid.
_SURE_FIELDS = ("site", "name", "network", "target", "max", "count", "leaseEnd")
_SCRIPT_FIELDS = {"compute": "postBootScript", "script": "script"}
_SECRET = re.compile(r"pass(word|wd|phrase)|secret|token|credential|private_?key|api_?key", re.IGNORECASE)
#: Named like secrets, but not secrets.
_NO_SECRETS = {"token_lifetime_s"}


def load_spec(
    source: Path | str | Mapping[str, Any] | Sequence[Any], *, name: str | None = None, check_options: bool = True
) -> FleetSpec:
    """Return the fleet spec from a file or JSON data.

    Parameters
    ----------
    source
        Path of a JSON file, or the data: a fleet spec, a plain Mobius request, or a list of them.
    name
        Name of the fleet if the document has none (default: from the file name).
    check_options
        Whether to check the `options` of sites and groups, too. False for stored specs, so that a fleet can still be
        viewed and ended by a version whose driver no longer knows an option.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    SpecError
        If it is not a valid fleet spec; ``problems`` and ``errors`` list every reason with its JSON path.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        base, data, name = path.absolute().parent, _read(path), name or plain_name(path.stem)
        return _build(data, name=name, base=base, where=path, check_options=check_options)
    return _build(source, name=name or "fleet", base=None, where=None, check_options=check_options)


def check_request(kind: str, data: object) -> Part:
    """Return one Mobius request as a part of a spec.

    Parameters
    ----------
    kind
        ``compute``, ``network``, ``storage``, ``stitch`` or ``script``.

    Raises
    ------
    SpecError
        If it is invalid; paths are relative to the request, e.g. ``leaseEnd``.
    """
    problems = Problems()
    _check_values(data, (), problems)
    if not problems.all:
        try:
            part = _LISTS[kind].model_validate(data)
        except ValidationError as error:
            add_validation_errors(problems, error, data, model=_LISTS[kind])
        else:
            found = check(SpecParts(**{kind: {0: part}}))  # type: ignore[arg-type]
            for problem in found:
                problems.add(
                    problem.path.removeprefix(f"{kind}[0]").lstrip("."), problem.what, expected=problem.expected
                )
            if not problems.all:
                return part
    raise SpecError(problems.all)


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError("spec not found", where=path, hint="see the examples in mobius_specs/") from None
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=path) from error
    if len(raw) > MAX_BYTES:
        raise InputError("the spec is too large", where=path, expected=f"at most {MAX_BYTES:,} bytes")
    try:
        return parse_json(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start}", where=path, expected="UTF-8 text") from None
    except InputError as error:
        raise InputError(error.what, where=path, expected=error.expected) from None


def _build(data: Any, *, name: str, base: Path | None, where: object, check_options: bool) -> FleetSpec:
    problems = Problems()
    _check_values(data, (), problems)
    if not problems.all and isinstance(data, Mapping) and not data:
        problems.add("", "an empty object", expected="a fleet spec with compute, or a Mobius request")
    found = None if problems.all else mobius.as_document(data, problems)
    if found is None:
        raise SpecError(problems.all, where=where)
    document = {"name": name, **found.data}
    for kind in _LISTS:
        if isinstance(document.get(kind), Mapping):
            document[kind] = [document[kind]]
    _inline_scripts(document, base, problems)
    _settle_paths(document, base)
    if check_options:
        add_option_errors(document, problems)
    try:
        spec = FleetSpec.model_validate(document)
    except ValidationError as error:
        add_validation_errors(problems, error, document, model=FleetSpec)
        _add_references(document, problems)
    else:
        if not problems.all:
            return spec
    raise SpecError([replace(problem, path=found.as_found(problem.path)) for problem in problems.all], where=where)


def _add_references(document: Mapping[str, Any], problems: Problems) -> None:
    """Record problems between the parts, as far as each part is valid on its own."""
    found: dict[str, Any] = {"sites": {}}
    partial: set[str] = set()
    sites = document.get("sites")
    for name, site in sites.items() if isinstance(sites, Mapping) else ():
        # Only the site's name matters here: a group at an invalid site is not itself invalid.
        found["sites"][name] = _as_far_as_right(SiteSpec, site)[0] or SiteSpec()
    for kind, model in _LISTS.items():
        found[kind] = {}
        items = document.get(kind)
        for position, item in enumerate(items if isinstance(items, list | tuple) else ()):
            part, whole = _as_far_as_right(model, item)
            if part is not None:
                found[kind][position] = part
            if not whole:
                partial.add(f"{kind}[{position}]")
                found["all_groups"] = found.get("all_groups", True) and kind != "compute"
    pool = document.get("pool")
    if isinstance(pool, Mapping):
        found["pool_config"] = (pool.get("kind", "own"), pool.get("condor_config"))
    policy = document.get("policy")
    if isinstance(policy, Mapping):
        breaker = _as_far_as_right(BreakerPolicy, policy.get("breaker", {}))[0]
        if isinstance(breaker, BreakerPolicy):
            found["breaker_s"] = (breaker.base_s, breaker.max_s)
        whole_policy, whole = _as_far_as_right(PolicySpec, policy)
        if whole and isinstance(whole_policy, PolicySpec):
            found["looks_s"] = (whole_policy.cycle_s, whole_policy.missing_s)
    for problem in check(SpecParts(**found)):
        place, _, field = problem.path.partition(".")
        if place not in partial or field in _SURE_FIELDS:
            problems.add(problem.path, problem.what, expected=problem.expected, nearest=problem.nearest)


def _as_far_as_right(model: type[Part], item: object) -> tuple[Part | None, bool]:
    """Return a part without its invalid fields, and whether all were valid."""
    try:
        return model.model_validate(item), True
    except ValidationError as error:
        if not isinstance(item, Mapping):
            return None, False
        wrong = {found["loc"][0] for found in error.errors() if found["loc"]}
        wrong |= {other for other, name in model.ALSO.items() if name in wrong}
    try:
        return model.model_validate({name: value for name, value in item.items() if name not in wrong}), False
    except ValidationError:
        return None, False


def _check_values(data: Any, path: tuple[str | int, ...], problems: Problems, count: list[int] | None = None) -> None:
    """Refuse what no field accepts: excessive depth or size, NUL characters, and fields named like secrets."""
    count = [0] if count is None else count
    count[0] += 1
    if count[0] > _MAX_VALUES or len(path) > _MAX_DEPTH:
        problems.add(
            "", "too large or too deeply nested", expected=f"at most {_MAX_VALUES:,} values, {_MAX_DEPTH} levels"
        )
    elif isinstance(data, Mapping):
        for key, value in data.items():
            if not isinstance(key, str) or "\x00" in key or len(key) > 200:
                problems.add(spec_path(path), "invalid key", expected="keys of at most 200 characters")
                continue
            here = (*path, key)
            if _SECRET.search(key) and key not in _NO_SECRETS and not _is_place(path):
                problems.add(spec_path(here), "secrets do not belong in a spec", expected="credentials in clouds.yaml")
                continue
            _check_values(value, here, problems, count)
    elif isinstance(data, list | tuple):
        for position, value in enumerate(data):
            _check_values(value, (*path, position), problems, count)
    elif isinstance(data, str) and "\x00" in data:
        problems.add(spec_path(path), "contains a NUL character", expected="text without NUL")
    elif not isinstance(data, str | int | float | bool | None):
        problems.add(spec_path(path), f"a {type(data).__name__}", expected="JSON data")


def _is_place(path: tuple[str | int, ...]) -> bool:
    return path == ("sites",)


def _inline_scripts(document: dict[str, Any], base: Path | None, problems: Problems) -> None:
    for kind, field in _SCRIPT_FIELDS.items():
        items = document.get(kind)
        if not isinstance(items, list):
            continue
        items = document[kind] = list(items)
        for position, item in enumerate(items):
            value = item.get(field) if isinstance(item, Mapping) else None
            if isinstance(value, Mapping) and set(value) == {"file"} and isinstance(value["file"], str):
                path = f"{kind}[{position}].{field}.file"
                items[position] = {**item, field: _script_text(value["file"], base, path, problems)}


def _script_text(name: str, base: Path | None, path: str, problems: Problems) -> str:
    """Return the text of a script next to the spec, empty if there is a problem."""
    if base is None:
        problems.add(path, "script files require a spec that is itself a file", expected="the script text")
        return ""
    folder = base.resolve()
    try:
        # Links out of the folder are refused like paths out of it: specs get passed around.
        file = (folder / name).resolve(strict=True)
        if not file.is_relative_to(folder) or not file.is_file():
            problems.add(path, "is not a file in the spec's folder", expected="a relative path inside it")
            return ""
        with file.open("rb") as stream:
            raw = stream.read(MAX_SCRIPT_BYTES + 1)
    except (OSError, RuntimeError):
        problems.add(path, "cannot be read", expected="a readable file in the spec's folder")
        return ""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if len(raw) > MAX_SCRIPT_BYTES:
            problems.add(path, "the file is too large", expected=f"at most {MAX_SCRIPT_BYTES:,} bytes")
        else:
            problems.add(path, "not UTF-8", expected="script text")
        return ""


def _settle_paths(document: dict[str, Any], base: Path | None) -> None:
    """Make the pool's paths absolute: a stored spec is read from elsewhere."""
    pool = document.get("pool")
    if base is None or not isinstance(pool, Mapping):
        return
    document["pool"] = {
        name: str(base / Path(value).expanduser())
        if name in ("condor_config", "state") and isinstance(value, str) and value and "~" not in value[1:]
        else value
        for name, value in pool.items()
    }
