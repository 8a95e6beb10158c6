"""Wavelengths of simulated radars, for formats that store them."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo.formats.radar.model import Band

SPEED_OF_LIGHT_M_S = 299_792_458.0
#: Meters: those of NEXRAD, of Monte Lema and of the Bonn radar.
WAVELENGTH_M: Mapping[Band, float] = {"S": 0.107, "C": 0.055, "X": 0.03213}
