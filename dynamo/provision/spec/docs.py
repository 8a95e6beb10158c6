"""The reference of the fleet spec, `docs/reference/provision_spec.md`, made from its models."""

from __future__ import annotations

from pydantic import BaseModel

from dynamo.documents import manual
from dynamo.documents.notation import JSON
from dynamo.doors import SITES
from dynamo.provision.sites.registry import option_models
from dynamo.provision.spec.fleet import FleetSpec

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


def tables() -> list[manual.Table]:
    """Return the tables of all parts of a spec."""
    return manual.tables(FleetSpec, JSON)


def markdown() -> str:
    """Return the page."""
    lines = [_HEAD, manual.markdown(tables(), JSON), _OPTIONS_HEAD]
    drivers = SITES.usable()
    told: list[type[BaseModel]] = []
    for kind in drivers:
        for options in option_models(kind, group=False):
            if options in told:
                continue
            told.append(options)
            kinds = [other for other in drivers if options in option_models(other, group=False)]
            place = "Sites and groups" if options in option_models(kind, group=True) else "Sites"
            header = f"### {place}: {', '.join(f'`{one}`' for one in kinds)}"
            lines += [header, "", *manual.option_table(manual.Table("", options), JSON), ""]
    return "\n".join(lines)
