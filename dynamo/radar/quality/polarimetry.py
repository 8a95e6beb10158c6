"""Checks of the polarimetric and Doppler moments of a sweep against what rain is known to give; pure.

In light rain drops are nearly round, so the correlation is close to 1 and differential reflectivity is small whatever
the radar (Ryzhkov et al. 2005, doi:10.1175/JTECH1772.1: ZDR of 0.2 to 0.3 dB at 20 dBZ).
"""

from __future__ import annotations

import numpy as np

from dynamo.radar.quality.view import UNKNOWN, Mask, Measure, SweepView, middle

_ENOUGH = 150
#: At S and C band, and at X band, where small drops resonate.
_LIGHT_RAIN_ZDR_DB = (0.25, 0.6)


def rhohv_in_rain(view: SweepView) -> Measure:
    """Return the correlation that a quarter of the rain exceeds: melting snow and hail lower only some of it."""
    rain = _echo(view, 20.0, 40.0)
    if "RHOHV" not in view.moments or rain is None:
        return UNKNOWN
    values = view.echo("RHOHV")[rain]
    values = values[~np.isnan(values)]
    if values.size < _ENOUGH:
        return UNKNOWN
    return Measure(round(middle(values, 0.75), 4), view.label)


def zdr_bias(view: SweepView) -> Measure:
    """Return how far, in dB, the differential reflectivity of light rain is from the expected one.

    Light rain is well correlated echo of 15 to 25 dBZ.
    """
    rain = _echo(view, 15.0, 25.0)
    if rain is None or "ZDR" not in view.moments or "RHOHV" not in view.moments:
        return UNKNOWN
    with np.errstate(invalid="ignore"):
        rain &= view.echo("RHOHV") > 0.97
    values = view.echo("ZDR")[rain]
    values = values[~np.isnan(values)]
    if values.size < _ENOUGH:
        return UNKNOWN
    usual = middle(values)
    return Measure(round(abs(usual - _LIGHT_RAIN_ZDR_DB[view.band == "X"]), 3), view.at(f"ZDR {usual:.2f} dB"))


def moments_apart(view: SweepView) -> Measure:
    """Return the share of echo of 20 dBZ or more without ZDR, RHOHV or PHIDP, of the worst moment.

    Moments that were shifted, lost, or taken from another sweep do not cover the same storms.
    """
    strong = view.echo("DBZH") >= 20.0
    count = int(np.count_nonzero(strong))
    names = [name for name in ("ZDR", "RHOHV", "PHIDP") if name in view.moments]
    if count < _ENOUGH or not names:
        return UNKNOWN
    shares = {name: float(np.count_nonzero(strong & np.isnan(view.echo(name)))) / count for name in names}
    name = max(names, key=shares.__getitem__)
    return Measure(round(shares[name], 4), view.at(name))


def velocity_noise(view: SweepView) -> Measure:
    """Return the typical change of velocity from gate to gate in echo of 10 dBZ or more, in Nyquist velocities."""
    if "VRADH" not in view.moments:
        return UNKNOWN
    speed = view.echo("VRADH")
    change = np.abs(view.echo("VRADH", 1) - speed)
    change = change[(view.echo("DBZH") >= 10.0) & ~np.isnan(change)]
    if change.size < _ENOUGH:
        return UNKNOWN
    # Of a file that does not say it: what it holds.
    nyquist = view.nyquist_m_s if view.nyquist_m_s > 0 else float(np.nanmax(np.abs(speed)))
    return Measure(round(middle(change) / max(nyquist, 1.0), 4), view.label)


def phase_noise(view: SweepView) -> Measure:
    """Return the typical change of differential phase from gate to gate in rain, degrees."""
    rain = _echo(view, 20.0, 50.0)
    if rain is None or "PHIDP" not in view.moments:
        return UNKNOWN
    change = np.abs(view.echo("PHIDP", 1) - view.echo("PHIDP"))
    change = change[rain & ~np.isnan(change)]
    if change.size < _ENOUGH:
        return UNKNOWN
    # It may wrap at 180 or 360 degrees.
    change = np.minimum(change, np.abs(360.0 - change))
    return Measure(round(middle(change), 2), view.label)


def correlation_with_echo(view: SweepView) -> Measure:
    """Return the share of rain, 25 dBZ or more, whose correlation is below 0.6: that of another place, or noise."""
    if "RHOHV" not in view.moments:
        return UNKNOWN
    values = view.echo("RHOHV")[view.echo("DBZH") >= 25.0]
    values = values[~np.isnan(values)]
    if values.size < _ENOUGH:
        return UNKNOWN
    return Measure(round(float(np.count_nonzero(values < 0.6)) / values.size, 4), view.label)


def _echo(view: SweepView, low_dbz: float, high_dbz: float) -> Mask | None:
    dbz = view.echo("DBZH")
    mask = (dbz >= low_dbz) & (dbz <= high_dbz)
    return mask if np.count_nonzero(mask) >= _ENOUGH else None
