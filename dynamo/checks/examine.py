"""Run the checks on data that a job has decoded anyway; knows neither thresholds nor history."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dynamo.checks.model import Check, Examination, Subject
from dynamo.doors import CHECKS
from dynamo.radar.quality import echoes, fields
from dynamo.radar.quality.neighbours import rain_map
from dynamo.radar.quality.view import UNKNOWN, Measure, SweepView, middle, worst
from dynamo.times import to_iso

if TYPE_CHECKING:
    from dynamo.formats.radar.model import Volume
    from dynamo.radar.grid import LatLonGrid

_log = logging.getLogger("dynamo.checks")
#: Of a nowcast, every which lead is looked at in detail.
DETAILED_LEADS = 20
_LONGEST_PLACE = 200
_Values = dict[str, tuple[float | None, str]]


def checks_of(subject: Subject) -> tuple[Check, ...]:
    """Return the checks that are given ``subject``, those of other packages too; broken ones are left out."""
    if not _BY_SUBJECT:
        for check in CHECKS.usable().values():
            _BY_SUBJECT.setdefault(check.subject, []).append(check)
    return tuple(_BY_SUBJECT.get(subject, ()))


_BY_SUBJECT: dict[str, list[Check]] = {}


def sweep_view(sweep: Any) -> SweepView:
    """Return a sweep of `dynamo.formats.radar.model` as checks look at it."""
    # Not the data set's own items, which take as long as a check of them.
    variables, attrs = sweep.variables, sweep.attrs
    time = variables["time"].values
    return SweepView(
        azimuth_deg=variables["azimuth"].values,
        elevation_deg=variables["elevation"].values,
        time_s=(time - time.min()) / np.timedelta64(1, "s"),
        range_m=variables["range"].values,
        moments={str(name): variables[name].values for name in sweep.data_vars},
        band=attrs["band"],
        nyquist_m_s=attrs["nyquist_m_s"],
        latitude_deg=attrs["latitude_deg"],
        longitude_deg=attrs["longitude_deg"],
        label=f"{attrs['fixed_angle_deg']:g} deg",
    )


def examine_volume(volume: Volume, file: str) -> Examination:
    """Return what the checks measure in a sweep or volume.

    Parameters
    ----------
    volume
        As the job reads it; moments that it left out are not checked.
    file
        What results are shown with.
    """
    values: _Values = {}
    views = [sweep_view(sweep) for sweep in volume.sweeps]
    for check in checks_of("sweep"):
        if check.usual is not None:
            for view, sweep in zip(views, volume.sweeps, strict=True):
                # Elevations of one scan keep their own history, whatever their order.
                key = f"{check.name}@{round(2 * float(sweep.attrs['fixed_angle_deg'])) / 2:g}"
                values.setdefault(key, _pair(_measure(check, view)))
        else:
            values[check.name] = _pair(worst([_measure(check, view) for view in views], high=not check.low))
    for check in checks_of("volume"):
        values[check.name] = _pair(_measure(check, volume))
    lowest = min(views, key=lambda view: middle(view.elevation_deg))
    marks = {"digest": echoes.digest(views[0]), "rain": rain_map(lowest)}
    return Examination(volume.site.radar, file, "volume", to_iso(volume.time), values, marks)


def nowcast_series(grid: LatLonGrid, of: str = "nowcast") -> str:
    """Return the series of nowcasts on a grid: those of two regions have histories of their own."""
    return f"{of}{grid.latitudes[0]:+.1f}{grid.longitudes[0]:+.1f}"


def examine_fields(
    grids: Iterable[tuple[int, NDArray[np.float32]]],
    scale: fields.Scale,
    *,
    series: str,
    file: str,
    valid_at: datetime,
    impossible: float = 0.0,
) -> Examination:
    """Return what the checks measure in the fields of one file.

    Parameters
    ----------
    grids
        Lead in minutes and field, in order; one for a composite.
    scale
        Of their unit.
    series, file, valid_at
        See `Examination`.
    impossible
        Share of values that the reader left out.
    """
    collector = FieldsCollector(scale)
    for lead, field in grids:
        collector.add(lead, field)
    return collector.examination(series=series, file=file, valid_at=valid_at, impossible=impossible)


class FieldsCollector:
    """Examines fields one at a time, as a job reads them, so that memory holds one."""

    def __init__(self, scale: fields.Scale) -> None:
        self._scale = scale
        self._measures: dict[str, list[Measure]] = {}
        self._images: list[list[float]] = []
        self._digests: list[float] = []

    def add(self, lead: int, field: NDArray[np.float32]) -> None:
        """Examine a field; leads come in order."""
        first = not self._images
        view = fields.FieldView(field, self._scale, "" if first else f"lead {lead}")
        if first or len(self._images) % DETAILED_LEADS == 0:
            for check in checks_of("field"):
                # What is compared with history is that of the first lead.
                if first or check.usual is None:
                    self._measures.setdefault(check.name, []).append(_measure(check, view))
        self._images.append(fields.image(view))
        self._digests.append(fields.digest(view))

    def examination(self, *, series: str, file: str, valid_at: datetime, impossible: float = 0.0) -> Examination:
        """Return what was measured in the fields so far; see `examine_fields`."""
        low = {check.name for check in checks_of("field") if check.low}
        values = {name: _pair(worst(found, high=name not in low)) for name, found in self._measures.items()}
        values["impossible_values"] = (round(impossible, 6), "")
        if len(self._images) > 1:
            values["lead_jump"] = _pair(fields.lead_jump(self._images))
            values["lead_growth"] = _pair(fields.lead_growth(self._images))
            pairs = zip(self._digests, self._digests[1:], strict=False)
            same = [index + 1 for index, (one, two) in enumerate(pairs) if one == two != 0.0]
            values["lead_copies"] = (float(len(same)), f"lead {same[0]}" if same else "")
        marks = {
            "digest": self._digests[0] if self._digests else 0.0,
            "image": self._images[0] if self._images else [],
        }
        return Examination(series, file, "grid", to_iso(valid_at), values, marks)


def _measure(check: Check, subject: Any) -> Measure:
    if check.measure is None:
        return UNKNOWN
    try:
        measured = check.measure(subject)
        return measured if isinstance(measured, Measure) else UNKNOWN
    except Exception:  # a check must not fail the work that it looks at
        _log.warning("check failed", extra={"check": check.name}, exc_info=True)
        return UNKNOWN


def _pair(measure: Measure) -> tuple[float | None, str]:
    value = None if measure.value is None else float(measure.value)
    return None if value is None or not math.isfinite(value) else value, str(measure.place)[:_LONGEST_PLACE]
