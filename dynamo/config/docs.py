"""The manual page and the commented example of `dynamo.toml`, made from the models in `dynamo.config.file`."""

from __future__ import annotations

from dynamo.config.file import Config
from dynamo.documents import manual
from dynamo.documents.notation import TOML
from dynamo.documents.toml_example import Values, toml_example

_HEAD = """\
# The configuration file

`dynamo.toml` is read by `dynamo watch`, `submit`, `runs` and `store`: the file named with `-c`, else the one
in `$DYNAMO_CONFIG`, else that of the project: the nearest `dynamo.toml` in the current folder or one above. Relative
paths are relative to the folder of the file. A folder with a `.dynamo` is a project, too, with the defaults below.
Outside any project, store, runs and products are in `$XDG_STATE_HOME/dynamo` (`~/.local/state/dynamo`), wherever a
command is started. Commands that only look never create a store.

An unknown option is an error that names the nearest one. `dynamo config show` prints what is in force, `dynamo config
example` a commented file (`docs/reference/dynamo.toml`). `dynamo watch --check` reports at once everything that the
daemon would refuse. This page is printed by `dynamo config docs`.
"""

#: Values of the example where the default says too little; the others appear commented out, at their default.
_VALUES = Values(
    given={
        "[engines.NAME]": {"options": {"workers": 2}},
        "[[feeds]]": {"name": "nowcasts", "path": "incoming", "patterns": ["MERGE_DARTS_*.nc"]},
        "[[triggers]]": {
            "name": "storms",
            "feed": "nowcasts",
            "workflow": "nowcast",
            "parameters": {"levels": [35, 40, 45, 50, 55]},
            "condition": {"area_km2": 10, "level_dbz": 45, "leads": "any"},
        },
        "[[assets]]": {"name": "storm_contours", "of": "nowcast/contour.geojson"},
        "[[alerts.channels]]": {"name": "record", "kind": "file", "path": "alerts.jsonl"},
        "[retention.warm]": {"path": "/archive/products"},
        "[[retention.rules]]": {"name": "rest"},
        "[serve.oidc]": {
            "issuer": "https://login.example.edu/realms/research",
            "public_url": "https://dynamo.example.edu",
            "client_id": "dynamo",
            "roles": {"radar-operators": "operator"},
        },
        "[[maintenance]]": {"start": "2026-11-30T14:00:00Z", "end": "2026-11-30T16:00:00Z"},
        "[[jobs]]": {"name": "nightly-copy", "period_s": 86_400.0},
    },
    shown={
        "url": "postgresql://dynamo@localhost/dynamo",
        "client_secret_env": "DYNAMO_OIDC_SECRET",
        "client_secret_file": "oidc-secret",
        "default_role": "viewer",
        "runs": ".dynamo/runs",
        "quarantine": ".dynamo/quarantine",
        "[[alerts.channels]] url": "https://example.org/alerts",
        "[pulse] url": "https://hc-ping.com/UUID",
        "[pulse] url_env": "DYNAMO_PULSE_URL",
        "[pulse] url_file": "pulse-url.txt",
        "slots": 2,
        "places": "places.geojson",
        "fleet": "dallas",
        "url_env": "DYNAMO_ALERT_URLS",
        "url_file": "alert-urls.txt",
        "batch": 100,
        "cadence_s": 60,
        "openlineage": "https://lineage.example.org",
        "token_env": "OPENLINEAGE_TOKEN",
        "token_file": "lineage-token.txt",
        "job_overhead_s": 0.005,
        "single_threshold_s": 0.03,
        "hot_gb": 500.0,
        "warm_gb": 20_000.0,
        "arrivals_days": 90.0,
        "decisions_days": 90.0,
        "runs_days": 365.0,
        "costs_days": 365.0,
        "hot_days": 30.0,
        "gone_days": 730.0,
        "[checks.NAME] severity": "block",
        "[checks.NAME] suspect": 3.0,
        "[checks.NAME] fail": 6.0,
        "[checks.NAME] series": ["KFWS"],
    },
    needed=("feed", "workflow"),
    idle=("[[maintenance]]", "[[jobs]]", "[serve.oidc]"),
    names={"[checks.NAME]": "zdr_bias"},
)


def tables() -> list[manual.Table]:
    """Return the tables of all sections, with those of the kinds that other packages add."""
    return manual.tables(Config, TOML)


def markdown() -> str:
    """Return the manual page."""
    return f"{_HEAD}\n{manual.markdown(tables(), TOML)}"


def example() -> str:
    """Return a commented file with every option; what has a default is commented out."""
    head = "# DyNamo: example of a configuration with every option. `dynamo watch -c dynamo.toml` reads it.\n\n"
    return head + toml_example(tables(), _VALUES)
