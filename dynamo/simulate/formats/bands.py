"""The wavelength at which simulated radars send, for the formats whose files tell it."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo.formats.radar.model import Band

SPEED_OF_LIGHT_M_S = 299_792_458.0
#: Metres: those of the network's NEXRAD, of Monte Lema and of the radar of Bonn.
WAVELENGTH_M: Mapping[Band, float] = {"S": 0.107, "C": 0.055, "X": 0.03213}
