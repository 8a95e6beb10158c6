"""Storm contours as RFC 7946 GeoJSON, with the file and feature names of the original.

`mrt_STORM_CASA_{lead}_{YYYYmmdd}-{HHMM}00.geojson` has the issue time in its name; the valid time, which readers need,
is in every feature and at the top.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from dynamo.formats.nowcast import NowcastHeader
from dynamo.radar.contour import Contours
from dynamo.times import file_stamp, to_iso

#: The original calls storms intense from this level on.
INTENSE_DBZ = 39.9


def contour_name(lead: int, issue_time: datetime) -> str:
    """Return the file name of the contours of one lead.

    Examples
    --------
    >>> from datetime import datetime, timezone
    >>> contour_name(15, datetime(2019, 6, 10, 0, 5, tzinfo=timezone.utc))
    'mrt_STORM_CASA_15_20190610-000500.geojson'
    """
    return f"mrt_STORM_CASA_{lead}_{file_stamp(issue_time)[:13]}00.geojson"


def encode_contours(header: NowcastHeader, lead: int, found: Sequence[Contours]) -> bytes:
    """Return the contours of one lead as a FeatureCollection.

    Parameters
    ----------
    header
        The header of the nowcast.
    lead
        Minutes after the issue time.
    found
        Contours by level; polygons are numbered from 1 within their level.

    Returns
    -------
    bytes
        UTF-8 GeoJSON; the same input gives the same bytes.
    """
    issue, valid = to_iso(header.issue_time), to_iso(header.valid_time(lead))
    collection = {
        "type": "FeatureCollection",
        "issue_time": issue,
        "valid_time": valid,
        "lead_min": lead,
        "levels_dbz": [level.level for level in found],
        "implausible_values": header.implausible,
        "features": [
            feature
            for level in found
            for feature in _features(level, lead, file_stamp(header.issue_time), issue, valid)
        ],
    }
    return orjson.dumps(collection, option=orjson.OPT_SERIALIZE_NUMPY)


def _features(level: Contours, lead: int, stamp: str, issue: str, valid: str) -> list[dict[str, Any]]:
    hazard = f"STORM_INTENSE_CASA_{lead}" if level.level > INTENSE_DBZ else f"STORM_CASA_{lead}"
    prefix = f"STORM_CASA_{lead}_{stamp}_{level.level:.2f}dBZ_"
    points, rings = level.points, level.rings.tolist()
    polygons = level.polygons.tolist()
    areas = np.round(level.area_km2, 4).tolist()
    maxima = np.round(level.maximum, 2).tolist()
    features = []
    for index, (first, last) in enumerate(itertools.pairwise(polygons)):
        features.append(
            {
                "type": "Feature",
                "id": f"{prefix}{index + 1}",
                "hazardType": hazard,
                "geometry": {
                    "type": "Polygon",
                    "coordinates": [points[rings[ring] : rings[ring + 1]] for ring in range(first, last)],
                },
                "properties": {
                    "hazardType": hazard,
                    "timestamp": valid,
                    "valid_time": valid,
                    "issue_time": issue,
                    "lead_min": lead,
                    "ReflectivityLevel": level.level,
                    "area_km2": areas[index],
                    "max_dbz": maxima[index],
                },
            }
        )
    return features
