"""Ask a spec's sites whether they know its names before it is stored, as ``dynamo-provision apply`` does."""

from __future__ import annotations

import threading

from dynamo.api.service import Service
from dynamo.documents.problems import Problem
from dynamo.errors import DynamoError
from dynamo.provision.keeping.opening import fleet_folder, open_sites
from dynamo.provision.planning import FleetPlan, plan_fleet
from dynamo.provision.spec.errors import SpecError
from dynamo.provision.spec.fleet import FleetSpec
from dynamo.texts import counted

#: A caller waits this long for sites; their own time limits are made for the daemon, which has time.
PATIENCE_S = 15.0


def refuse_unknown_names(
    service: Service, spec: FleetSpec, *, first: int = 0, patience_s: float = PATIENCE_S
) -> list[str]:
    """Ask all sites of a spec about its images, networks, keys, zones and flavors.

    Parameters
    ----------
    service, spec
        The server's parts, and what is about to be stored.
    first
        Index of the first compute entry whose names matter; those before it are there already.
    patience_s
        How long to wait for sites.

    Returns
    -------
    list of str
        Why the sites were not asked, or did not answer; the spec is accepted then, and the daemon finds out.

    Raises
    ------
    SpecError
        With every name that a site does not know.
    """
    if not spec.compute:
        return []
    answers: list[FleetPlan | Exception] = []
    # A call to a cloud cannot be ended: its thread, and its slot, are left to it.
    asking = threading.Thread(target=lambda: answers.append(_ask(service, spec)), name="ask sites", daemon=True)
    asking.start()
    asking.join(patience_s)
    if not answers:
        return [f"{counted(len(spec.sites), 'site')} did not answer in {patience_s:g} s, so names were not checked"]
    answer = answers[0]
    if isinstance(answer, DynamoError):
        return [f"names were not checked: {answer}"]
    if isinstance(answer, Exception):
        raise answer
    places = {group.name: f"compute[{index}]" for index, group in enumerate(spec.compute) if index >= first}
    wrong = [
        Problem(places[group.group], what) for group in answer.groups if group.group in places for what in group.wrong
    ]
    if wrong:
        raise SpecError(wrong)
    return []


def _ask(service: Service, spec: FleetSpec) -> FleetPlan | Exception:
    try:
        with service.asking.one():
            drivers = open_sites(spec, fleet_folder(service.state_dir, spec.name))
            try:
                return plan_fleet(spec, drivers, {})
            finally:
                for driver in drivers.values():
                    driver.close()
    except Exception as error:  # the caller, in another thread, raises what is a bug
        return error
