"""The demo's folder: feeds, and a configuration with which all commands find what the demo made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson

from dynamo.config.file import Config, load_config
from dynamo.config.project import CONFIG_FILE
from dynamo.files import write_bytes, write_text

LEVELS = (35.0, 45.0, 55.0)
#: Places to alert: longitude and latitude, degrees east and north.
_PLACES = {
    "Dallas Love Field": (-96.852, 32.847),
    "DFW Airport": (-97.040, 32.897),
    "Parkland Hospital": (-96.836, 32.812),
    "Denton High School": (-97.163, 33.215),
    "AT&T Stadium": (-97.093, 32.748),
}
_NOWCASTS = """\
# Written by `dynamo demo`. Look at what it made: dynamo serve -c {file}

[folders]
state = "state"
products = "products"

[runs]
engine = "{engine}"

[[feeds]]
name = "nowcasts"
path = "nowcasts"

[[triggers]]
name = "storms"
feed = "nowcasts"
workflow = "nowcast"
parameters = {{ levels = {levels} }}
"""
_RADARS = """
[[feeds]]
name = "radars"
path = "radars"
patterns = ["*.netcdf.gz"]
cadence_s = 60
expect = {radars}

[[triggers]]
name = "hail"
feed = "radars"
workflow = "hail"

[alerts]
places = "places.geojson"

[[alerts.channels]]
name = "log"
kind = "file"
path = "alerts.jsonl"
"""


def set_up(folder: Path, *, engine: str = "local", radars: Sequence[str] = ()) -> Config:
    """Make the demo's folder, and return its configuration.

    Parameters
    ----------
    folder
        A new folder, or an empty one.
    engine
        Engine for the runs.
    radars
        Radars that deliver sweeps besides the nowcasts, for hail and alerts.
    """
    (folder / "nowcasts").mkdir(parents=True)
    text = _NOWCASTS.format(file=CONFIG_FILE, engine=engine, levels=list(LEVELS))
    if radars:
        (folder / "radars").mkdir()
        text += _RADARS.format(radars=orjson.dumps(list(radars)).decode())
        write_bytes(folder / "places.geojson", orjson.dumps(_places()))
    write_text(folder / CONFIG_FILE, text)
    return load_config(folder / CONFIG_FILE)


def _places() -> dict[str, object]:
    features = [
        {"type": "Feature", "properties": {"name": name}, "geometry": {"type": "Point", "coordinates": list(place)}}
        for name, place in _PLACES.items()
    ]
    return {"type": "FeatureCollection", "features": features}
