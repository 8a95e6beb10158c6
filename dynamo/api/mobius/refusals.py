"""Mobius requests of which nothing would come: they get Mobius's error form, never its success."""

from __future__ import annotations

from collections.abc import Collection

from dynamo.api.problems import Refusal
from dynamo.provision.spec.fleet import ComputeSpec, FleetSpec, NetworkSpec, ScriptSpec, StitchSpec, StorageSpec
from dynamo.provision.spec.not_acted_on import drivers_of_target
from dynamo.provision.spec.types import Part

#: Clouds that Mobius drives, or that people ask for, and that no driver here speaks to.
_NO_DRIVER = frozenset({"aws", "azure", "container", "containers", "docker", "exogeni", "gcp", "google", "kubernetes"})
#: Drivers whose sites have none of these.
_NO_VOLUMES = frozenset({"local", "simulated"})
_NO_CIRCUITS = frozenset({"local", "openstack", "simulated"})
_NO_NETWORKS = frozenset({"local", "simulated"})
_NO_SCRIPTS = frozenset({"simulated"})


def refuse_sdx_prefix() -> None:
    """Refuse Mobius's request to advertise a prefix at an exchange.

    Raises
    ------
    Refusal
        Always.
    """
    raise _cannot("no exchange (SDX) is driven from here", "arrange routes at the exchange itself")


def refuse_without_effect(part: Part, spec: FleetSpec, configured: Collection[str], started: Collection[str]) -> None:
    """Refuse what would be stored and never carried out.

    Parameters
    ----------
    spec
        The fleet with the request in it.
    configured
        Sites that were in the spec before: an operator may have given them a driver.
    started
        Living workers whose servers have been requested; their first boot is past.

    Raises
    ------
    Refusal
        501, with the reason.
    """
    if isinstance(part, ComputeSpec):
        cloud = part.site.partition(":")[0].lower()
        if cloud in _NO_DRIVER and part.site not in configured:
            known = "Chameleon, any OpenStack by its name in the server's clouds.yaml, Local"
            raise _cannot(f"no driver for the cloud {part.site.partition(':')[0]}", f"use one of {known}")
    elif isinstance(part, StorageSpec) and part.action == "add":
        _refuse_at(part, spec, _NO_VOLUMES, "volumes cannot be created", "use a flavor with a larger disk")
    elif isinstance(part, StitchSpec):
        _refuse_at(part, spec, _NO_CIRCUITS, "circuits are unavailable", "only Chameleon leases them")
    elif isinstance(part, ScriptSpec):
        _refuse_at(part, spec, _NO_SCRIPTS, "scripts are not run", "use a site with real workers")
        if started:
            names = ", ".join(sorted(started)[:5]) + (", ..." if len(started) > 5 else "")
            hint = "send scripts before the compute request's workers start, or drain these so that new ones run it"
            raise _cannot(f"scripts run at the first boot only, and these workers have had it: {names}", hint)


def refuse_network(part: NetworkSpec, spec: FleetSpec) -> None:
    """Refuse links, and networks where the site cannot create them; ``spec`` is the fleet's before the request.

    Raises
    ------
    Refusal
        501, with the reason.
    """
    if part.is_link:
        if part.action != "delete":
            raise _cannot("no kind of site can link two workers", "use one network, or a circuit, for both")
        return
    driver = spec.sites[part.site].driver if part.site in spec.sites else ""
    if part.action == "create" and driver in _NO_NETWORKS:
        raise _cannot(f"networks cannot be created at {driver} sites", "use the site's own network")


def _refuse_at(
    part: StorageSpec | StitchSpec | ScriptSpec, spec: FleetSpec, drivers: Collection[str], what: str, hint: str
) -> None:
    concerned = drivers_of_target(part, spec)
    if concerned and concerned <= set(drivers):
        raise _cannot(f"{what} at {' and '.join(sorted(concerned))} sites, where {part.target} is", hint)


def _cannot(what: str, hint: str) -> Refusal:
    return Refusal(501, what, hint=hint)
