"""Shared by the modules on radar sweeps: ports, parameters, and reading a volume with its temperature profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dynamo.contract import Call, Parameter, Port
from dynamo.errors import DynamoError

if TYPE_CHECKING:
    from dynamo.formats.radar.model import Volume
    from dynamo.radar.hail.levels import Temperatures
    from dynamo.radar.quality.screening import QualityLimits

RADAR_PORT = Port(
    "radar",
    "radar-sweep|radar-volume",
    "A sweep, a volume, or the files of one volume (single sweeps, NEXRAD chunks).",
    many=True,
)
SOUNDING_PORT = Port("sounding", "sounding", "Sounding as University of Wyoming text.", required=False)

#: Parameters of the sounding and the quality control; 0 selects the band's default where a description says so.
SOUNDING_PARAMETERS = (
    Parameter(
        "zero_c_height",
        "float",
        "Height of 0 C above sea level, used without a sounding.",
        default=4200.0,
        unit="m",
        minimum=-500,
        maximum=8000,
    ),
    Parameter(
        "minus_20_c_height",
        "float",
        "Height of -20 C above sea level, used without a sounding.",
        default=7200.0,
        unit="m",
        minimum=500,
        maximum=14_000,
    ),
    Parameter(
        "max_sounding_age",
        "float",
        "Maximum time between sounding and radar data.",
        default=18.0,
        unit="h",
        minimum=1,
        maximum=1e6,
    ),
    Parameter(
        "zdr_offset",
        "float",
        "Calibration bias of ZDR, subtracted.",
        default=0.0,
        unit="dB",
        minimum=-5,
        maximum=5,
    ),
    Parameter(
        "min_rhohv",
        "float",
        "Reject gates with a lower correlation as non-weather; 0 for the band's default.",
        default=0.0,
        unit="1",
        minimum=0,
        maximum=1,
    ),
    Parameter(
        "min_snr",
        "float",
        "Reject gates with a lower signal-to-noise ratio as noise, if the file has one.",
        default=3.0,
        unit="dB",
        minimum=-20,
        maximum=60,
    ),
    Parameter(
        "still_velocity",
        "float",
        "Reject gates with a lower radial velocity as ground clutter if they are rough or decorrelated.",
        default=1.0,
        unit="m/s",
        minimum=0,
        maximum=10,
    ),
    Parameter(
        "still_texture",
        "float",
        "Roughness (standard deviation of reflectivity around a gate) above which a still gate is ground clutter.",
        default=9.0,
        unit="dB",
        minimum=0,
        maximum=50,
    ),
)


def read_inputs(call: Call) -> tuple[Volume, Temperatures]:
    """Read the radar files of a call, and the sounding or its fallback.

    A volume from the future is flagged; an old one is not, since the modules also process archives.
    """
    from dataclasses import replace
    from datetime import timedelta

    from dynamo.formats.radar.read import read_volume
    from dynamo.formats.sounding import choose_sounding
    from dynamo.processing.hail import MOMENTS, temperatures_of
    from dynamo.times import utc_now

    paths = call.inputs["radar"]
    volume = read_volume(paths[0] if len(paths) == 1 else paths, moments=MOMENTS, now=utc_now())
    if paths[0].name not in call.examined:
        from dynamo.checks.examine import examine_volume

        call.checks.append(examine_volume(volume, paths[0].name).to_json())
    soundings = call.inputs.get("sounding")
    chosen = choose_sounding(
        soundings[0] if soundings else None,
        volume.time,
        fallback_zero_c_m=call.parameters["zero_c_height"],
        fallback_minus_20_c_m=call.parameters["minus_20_c_height"],
        max_age=timedelta(hours=call.parameters["max_sounding_age"]),
    )
    if soundings and chosen.fallback:
        call.remarks.append(f"the sounding was not used: {chosen.reason}")
        volume = replace(volume, flags=(*volume.flags, "sounding refused: see sources"))
    return volume, temperatures_of(chosen)


def quality_limits(call: Call, band: str) -> QualityLimits:
    """Return the limits of the quality control: the band's defaults, updated with the parameters of a call."""
    from dataclasses import replace

    from dynamo.radar.quality.screening import limits_for

    own = limits_for(band)
    parameters = call.parameters
    return replace(
        own,
        min_rhohv=parameters["min_rhohv"] or own.min_rhohv,
        min_snr_db=parameters["min_snr"],
        still_m_s=parameters["still_velocity"],
        still_texture_db=parameters["still_texture"],
    )


def check_product(path: Path, kind: str) -> None:
    """Read a written product back.

    Raises
    ------
    DynamoError
        If the file is not a complete product of ``kind``.
    """
    from dynamo.formats.radar_products import read_radar_product

    if read_radar_product(path).kind != kind:
        raise DynamoError(f"not a {kind} product", where=path)
