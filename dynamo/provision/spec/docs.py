"""The reference of the fleet spec, `docs/reference/provision_spec.md`, made from its models."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from dynamo.doors import SITES
from dynamo.provision.sites.registry import option_models
from dynamo.provision.spec.fleet import (
    BlackHolePolicy,
    BreakerPolicy,
    BudgetSpec,
    ComputeSpec,
    FleetSpec,
    NetworkSpec,
    PolicySpec,
    PoolSpec,
    ScriptSpec,
    StitchSpec,
    StorageSpec,
)
from dynamo.provision.spec.marks import described
from dynamo.provision.spec.schema import spec_schema
from dynamo.provision.spec.sites import SiteSpec, SiteWorkerSpec
from dynamo.provision.spec.types import Part

SECTIONS: tuple[tuple[str, type[Part]], ...] = (
    ("The document", FleetSpec),
    ("`pool`", PoolSpec),
    ('`sites`: { "Cloud:Region": { ... } }', SiteSpec),
    ("`worker` of a site", SiteWorkerSpec),
    ("`compute`: [ ... ]", ComputeSpec),
    ("`network`: [ ... ]", NetworkSpec),
    ("`storage`: [ ... ]", StorageSpec),
    ("`stitch`: [ ... ]", StitchSpec),
    ("`script`: [ ... ]", ScriptSpec),
    ("`policy`", PolicySpec),
    ("`policy.breaker`", BreakerPolicy),
    ("`policy.black_hole`", BlackHolePolicy),
    ("`budget`", BudgetSpec),
)

_HEAD = """\
# The fleet spec

One JSON file describes a fleet: the HTCondor pool, the sites, the groups of workers, networks, storage.
`dynamo-provision validate FILE` checks it, `plan` shows what it would do, `apply` does it. Ready ones are in
`mobius_specs/`, with `mobius_specs/schema.json` (JSON Schema, draft 2020-12) for editors: write `"$schema":
"schema.json"` at the top. All errors are told at once, each with its place, as `compute[1].leaseEnd: not a time`.

- **Mobius.** The fields of Mobius's `compute`, `network`, `storage`, `stitch` and `script` requests mean here what
  they mean there, and a plain request, or a list of them, is a spec: pool and sites get their defaults. As in Mobius,
  numbers and `true`/`false` of those fields may be in quotes, and `null` is a field left out.
- **Sites** are named `Cloud:Region`. Without `sites`, those that groups name are taken as they are by default; with
  it, every site that is named must be in it.
- **How many workers.** `count`, or `cpus` in all: as many workers of the flavour as that takes, or one of them with
  `coallocate`.
- **Which flavour.** The named one; else the cheapest, then the smallest, that has `workerCpus`, `workerRamMb`,
  `workerDiskGb`, `ramPerCpus`, `diskPerCpus`, `gpus`.
- **Times** are seconds since 1970 (in quotes or not), ISO 8601 (UTC unless it says otherwise), `now`, or an offset as
  `+2h`, `+90m`, `+1d12h`: that of a start counts from when the spec is applied, that of an end from the start.
- **Scripts** are texts of at most 32 KiB, or `{"file": "setup.sh"}`: a file in the folder of the spec, read when the
  spec is.
- **No secrets**: fields called like one are refused. Credentials of clouds belong into `clouds.yaml`.
- **Names of groups** that have none are made of `hostNamePrefix`, else of the site, and numbered in the order of the
  file; give names to groups that you will reorder.
- **Cost** of a worker: the group's `costPerHour`, else the flavour's, else the site's `cost_per_hour`, else nothing;
  in `budget.currency`.
"""


_OPTIONS_HEAD = """\
## `options` by driver

What only one driver understands, in `options` of a site or, where it says so, of a group. What a group says counts
before what its site says.
"""


def markdown() -> str:
    """Return the page."""
    document = spec_schema()
    lines = [_HEAD]
    for header, model in SECTIONS:
        schema = document if model is FleetSpec else document["$defs"][model.__name__]
        lines += [f"## {header}", "", " ".join((model.__doc__ or "").split()), "", *_table(model, schema), ""]
    lines.append(_OPTIONS_HEAD)
    told: list[type[BaseModel]] = []
    drivers = SITES.usable()
    for kind in drivers:
        for options in option_models(kind, group=False):
            if options in told:
                continue
            told.append(options)
            kinds = [other for other in drivers if options in option_models(other, group=False)]
            place = "Sites and groups" if options in option_models(kind, group=True) else "Sites"
            header = f"### {place}: {', '.join(f'`{one}`' for one in kinds)}"
            lines += [header, "", *_table(options, options.model_json_schema()), ""]
    return "\n".join(lines)


def _table(model: type[BaseModel], schema: dict[str, Any]) -> list[str]:
    """Return the fields of a model as a table; those without a description are not for people."""
    others: dict[str, list[str]] = {}
    for other, name in model.ALSO.items() if issubclass(model, Part) else ():
        others.setdefault(name, []).append(f"`{other}`")
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        if not info.description:
            continue
        shown = info.alias or name
        default = "required" if info.is_required() else _default(info.get_default(call_default_factory=True))
        meaning = described(model, name).replace("|", "\\|")
        if shown in others:
            meaning += f" Also {', '.join(others[shown])}."
        lines.append(f"| `{shown}` | {_type(schema['properties'][shown])} | {default} | {meaning} |")
    return lines


def _default(value: Any) -> str:
    if value is None or isinstance(value, BaseModel | tuple | list) or value in ("", {}):
        return ""
    return f"`{json.dumps(value)}`"


def _type(schema: dict[str, Any]) -> str:
    """Return the kind of values of a field in words, with the limits."""
    if "$ref" in schema:
        return "object"
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        if all(part.get("type") in ("integer", "string") for part in parts) and "2-9" not in str(parts):
            kinds = [part["type"] for part in parts]
            if kinds == ["integer", "string"]:
                quoted = parts[1].get("pattern", "").startswith("^[0-9]{1,15}")
                return _limits("whole number" if quoted else "time", {**parts[0], **schema})
        words = list(dict.fromkeys(_type({**_outer(schema), **part}) for part in parts))
        if words == ["text", "object"]:
            return "script"
        return " or ".join(word for word in words if word != "`true` or `false` in quotes")
    if "enum" in schema:
        values = [value for value in schema["enum"] if value != ""]
        return "`true` or `false` in quotes" if values == ["true", "false"] else _choices(values)
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(schema['items'])}s"
    names = {"integer": "whole number", "number": "number", "boolean": "true or false", "string": "text"}
    return _limits(names.get(str(kind), "object"), schema)


def _outer(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: schema[name] for name in ("minimum", "maximum", "exclusiveMinimum") if name in schema}


def _choices(values: list[Any]) -> str:
    return " or ".join(f"`{value}`" for value in values)


def _limits(kind: str, schema: dict[str, Any]) -> str:
    if kind not in ("whole number", "number"):
        return kind
    low, above, high = schema.get("minimum"), schema.get("exclusiveMinimum"), schema.get("maximum")
    words = [f"{low:,g} or more"] if low is not None else [f"more than {above:,g}"] if above is not None else []
    if high is not None:
        words = [f"{low:,.12g} to {high:,.12g}"] if low is not None else [*words, f"at most {high:,.12g}"]
    return f"{kind}, {', '.join(words)}" if words else kind
