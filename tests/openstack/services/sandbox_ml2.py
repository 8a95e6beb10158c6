"""An ML2 mechanism driver that binds every port at once, so that no L2 agent is needed."""


# It runs where neutron is installed, which the project's own environment is not.
# mypy: ignore-errors
# ruff: noqa: A002

from __future__ import annotations

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class AgentlessDriver(api.MechanismDriver):
    def initialize(self):
        pass

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        segment = context.segments_to_bind[0]
        context.set_binding(
            segment[api.ID],
            portbindings.VIF_TYPE_OVS,
            {portbindings.CAP_PORT_FILTER: True},
            status=constants.PORT_STATUS_ACTIVE,
        )


# A router service whose floating IPs become ACTIVE on association, so that no L3 agent is needed.
from neutron.services.l3_router import l3_router_plugin  # noqa: E402


class L3(l3_router_plugin.L3RouterPlugin):
    def _settle(self, context, fip):
        want = constants.FLOATINGIP_STATUS_ACTIVE if fip.get("port_id") else constants.FLOATINGIP_STATUS_DOWN
        if fip["status"] != want:
            self.update_floatingip_status(context.elevated(), fip["id"], want)
            fip["status"] = want
        return fip

    def create_floatingip(self, context, floatingip):
        return self._settle(context, super().create_floatingip(context, floatingip))

    def update_floatingip(self, context, id, floatingip):
        return self._settle(context, super().update_floatingip(context, id, floatingip))
