"""The configuration file `dynamo.toml`: every option, with its meaning, in this one place.

`dynamo.config.docs` makes the manual page and the commented example from these models.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from dynamo.config.alerts import AlertsSection
from dynamo.config.autoscale import AutoscaleSection
from dynamo.documents.part_name import PartName
from dynamo.doors import CHANNELS, ENGINES
from dynamo.errors import InputError, NotFoundError

#: Read when no file is named; the environment variable comes first.
DEFAULT_FILE = "dynamo.toml"
ENVIRONMENT = "DYNAMO_CONFIG"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
EngineName = Annotated[str, PartName(ENGINES)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class StoreSection(_Section):
    """Where everything that must survive a crash is kept."""

    url: str | None = Field(
        None,
        description="`sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`. Without it, SQLite in `folders.state`.",
    )


class FoldersSection(_Section):
    """Folders. Relative paths are relative to the folder of this file."""

    state: str = Field(".dynamo", description="State of the daemon: SQLite store, run folders, quarantine.")
    runs: str | None = Field(None, description="Run folders. Without it, `runs` in `state`.")
    products: str = Field("products", description="Published products: `WORKFLOW/YYYYmmdd/HHMMSS-KEY/`.")
    quarantine: str | None = Field(None, description="Bad files. Without it, `quarantine` in `state`.")


class RunsSection(_Section):
    """How runs are executed and published."""

    engine: EngineName = Field(
        "local", description="Engine of runs whose trigger names none: local, condor or pegasus."
    )
    max_runs: int = Field(2, ge=1, le=1000, description="Runs at the same time; the freshest go first.")
    keep_succeeded_h: float = Field(
        24.0, ge=0, description="Hours until the run folder of a succeeded run is removed (not its products)."
    )
    keep_failed_h: float = Field(
        168.0,
        ge=0,
        description="Hours until the run folder of a failed, cancelled or skipped run is removed.",
    )
    min_free_mb: int = Field(
        200, ge=0, description="No run starts while less space, in MB, is free for runs or products."
    )
    fsync: bool = Field(
        True,
        description="Write products to the disk before they appear, so that a power cut leaves no half product; "
        "costs some 20 ms a run on an SSD. A killed process leaves none either way.",
    )
    refit_runs: int = Field(20, ge=0, description="Fit the cost model anew after this many runs; 0 never.")


class WatchSection(_Section):
    """How the daemon behaves."""

    stop_grace_s: float = Field(
        3.0,
        ge=0,
        le=600,
        description="Seconds that runs get to end on SIGTERM; later ones are resumed at the next start.",
    )
    resume_s: float = Field(
        30.0, gt=0, description="How often, in seconds, to look for unfinished runs that nobody works on."
    )
    log_format: Literal["logfmt", "json"] = Field("logfmt", description="Form of the log lines on standard error.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")


class EngineSection(_Section):
    """Options of one engine and how its jobs are grouped."""

    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the engine itself, as `workers` of local."
    )
    slots: int | None = Field(None, ge=1, description="Jobs that run at the same time, for the physical plan.")
    job_overhead_s: float | None = Field(None, ge=0, description="Seconds that a task costs beside its payload.")
    single_threshold_s: float | None = Field(
        None, ge=0, description="Predicted CPU seconds up to which a whole run is one task."
    )


class FeedSection(_Section):
    """A source of files; one `[[feeds]]` for each."""

    name: Name = Field(description="Name of the feed, as triggers use it.")
    kind: Literal["directory", "nexrad-chunks", "products"] = Field(
        "directory",
        description="`directory`: files. `nexrad-chunks`: real-time chunks of Level II volumes, joined as they come. "
        "`products`: what a workflow of this store publishes.",
    )
    path: str = Field("", description="The folder; kind products has none.")
    workflow: str | None = Field(None, description="The workflow whose products are taken (kind products).")
    patterns: list[str] = Field(
        default=["*.nc"],
        min_length=1,
        description="Shell patterns of file names; hidden and `.part` files never match.",
    )
    recursive: bool = Field(False, description="Look into folders below too; links to folders are not followed.")
    rescan_s: float = Field(
        30.0, gt=0, description="How often, in seconds, to look for what the kernel did not tell of (NFS)."
    )
    settle_s: float = Field(
        2.0,
        ge=0,
        description="Seconds that size and time of a file must be unchanged when nobody told of its closing, and "
        "before a file that cannot be read goes to quarantine.",
    )
    spool: str | None = Field(
        None, description="Where chunks are joined (kind nexrad-chunks). Without it, `spool/NAME` in `folders.state`."
    )
    timeout_s: float = Field(
        420.0, gt=0, description="A volume to which no chunk came for so many seconds is taken as it is."
    )
    keep_h: float = Field(24.0, gt=0, description="Hours that joined volumes are kept (kind nexrad-chunks).")
    early: bool = Field(True, description="Take the lowest elevation before the volume ends (kind nexrad-chunks).")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.kind == "products") != (self.workflow is not None):
            raise ValueError("kind products, and only that, needs a workflow")
        if (self.kind == "products") == bool(self.path):
            raise ValueError("path: every kind but products needs one, and that has none")
        return self


class ConditionSection(_Section):
    """On the data of an arrival: at least `area_km2` at or above `level_dbz` at some leads."""

    area_km2: float = Field(ge=0, description="Least area, km2.")
    level_dbz: float = Field(ge=-30, le=100, description="Reflectivity at or above which area counts, dBZ.")
    leads: Literal["any", "all"] | list[int] = Field(
        "any", description="`any` lead, `all` leads, or any of a list of leads in minutes."
    )


class PrecursorSection(_Section):
    """Kind precursor: work begins where strong echo reaches above 0 C, and ends when it has been gone a while."""

    sounding: str | None = Field(
        None, description="Sounding (Wyoming text) that tells the 0 C height; refused ones are replaced by the number."
    )
    freezing_level_m: float = Field(
        4200.0, ge=-500, le=8000, description="Height of 0 C above sea level, m, where no sounding tells it."
    )
    level_dbz: float = Field(45.0, ge=0, le=80, description="Reflectivity of strong echo above the 0 C height, dBZ.")
    area_km2: float = Field(2.0, gt=0, description="Area of it that begins the work, km2.")
    low_level_dbz: float = Field(
        50.0,
        ge=0,
        le=80,
        description="Reflectivity that counts at any height, over ground where no beam is above 0 C, dBZ.",
    )
    low_area_km2: float = Field(2.0, gt=0, description="Area of that which begins the work, km2.")
    stop_share: float = Field(0.5, gt=0, le=1, description="Below this share of the area it counts as gone.")
    hold_min: float = Field(
        20.0,
        ge=0,
        le=1440,
        description="Minutes for which the work goes on after that; more than `alerts.clear_min`, or no product ever "
        "says that the hail is over.",
    )


class GatherSection(_Section):
    """Kind gather: one run for all radars of a network, when they are together or the deadline has passed."""

    radars: list[Name] = Field(min_length=1, max_length=500, description="The radars of the network.")
    period_s: float = Field(60.0, gt=0, le=86400, description="Length of a slot, from midnight UTC, s.")
    deadline_s: float = Field(30.0, ge=0, le=86400, description="Seconds after the slot's end until it runs anyway.")
    minimum: int = Field(1, ge=1, description="Fewer radars than this are not worth a run.")
    each: int = Field(1, ge=1, le=100, description="Products of each radar to wait for in a slot (its sweeps).")
    sweeps: Name | None = Field(
        None,
        description="Feed of the sweeps from which the products are made: a radar whose sweeps started no run is "
        "quiet, not missing.",
    )


class TriggerSection(_Section):
    """A rule: which arrivals start which workflow; one `[[triggers]]` for each."""

    name: Name = Field(description="Name of the trigger, as it appears with runs and decisions.")
    kind: Literal["arrival", "schedule", "precursor", "gather"] = Field(
        "arrival",
        description="`arrival`: each file. `schedule`: at fixed times, with the newest file. `precursor`: each file of "
        "a radar while hail may form. `gather`: all radars of a network together.",
    )
    feed: Name = Field(description="Feed whose files it takes.")
    pattern: str = Field("*", description="Shell pattern of file names (not kind schedule).")
    every_min: int | None = Field(
        None, ge=1, le=1440, description="Every so many minutes, from 00:00 UTC (kind schedule)."
    )
    at_minutes: list[int] = Field(default_factory=list, description="At these minutes of each hour (kind schedule).")
    workflow: str = Field(description="A template or the path of a workflow document.")
    input: str | None = Field(
        None, description="Input of the workflow that the file is; may be left out if it has one."
    )
    files: dict[str, str] = Field(
        default_factory=dict, description="Further inputs that are the same each time, as a sounding: input = path."
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters of the workflow.")
    precursor: PrecursorSection | None = Field(None, description="Numbers of kind precursor.")
    gather: GatherSection | None = Field(None, description="Network of kind gather.")
    condition: ConditionSection | None = Field(None, description="Start only if the data are so.")
    engine: EngineName | None = Field(None, description="Engine; without it that of `[runs]`.")
    priority: int | None = Field(None, ge=-1000, le=1000, description="Higher runs first; without it the workflow's.")
    deadline_s: float | None = Field(
        None,
        ge=0,
        description="Seconds from arrival after which a run that has not started is skipped if a newer one exists; "
        "without it the workflow's, 0 for none.",
    )
    shed: Literal["never", "late", "skip"] = Field(
        "late",
        description="While more work is due than can be bought (`[autoscale]`): which runs are left out. `never`: "
        "none, as for those that alerts are made of, and in a pool their jobs go before all others; `late`: one that "
        "cannot be in time any more, if a newer one exists or work of higher priority is due; `skip`: also at once "
        "where work of higher priority is due.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        scheduled = (self.every_min is not None) + bool(self.at_minutes)
        if self.kind == "schedule" and scheduled != 1:
            raise ValueError("a schedule needs one of every_min and at_minutes")
        if self.kind != "schedule" and scheduled:
            raise ValueError("every_min and at_minutes belong to kind schedule")
        for name in ("precursor", "gather"):
            if getattr(self, name) is not None and self.kind != name:
                raise ValueError(f"{name} belongs to kind {name}")
        if self.kind == "gather" and self.gather is None:
            raise ValueError("kind gather needs gather = { radars = [...] }")
        if self.kind in ("precursor", "gather") and self.condition is not None:
            raise ValueError(f"kind {self.kind} takes no condition")
        return self


class Config(_Section):
    """The whole file."""

    store: StoreSection = StoreSection()
    folders: FoldersSection = FoldersSection()
    runs: RunsSection = RunsSection()
    watch: WatchSection = WatchSection()
    engines: dict[str, EngineSection] = Field(default_factory=dict)
    feeds: list[FeedSection] = Field(default_factory=list)
    triggers: list[TriggerSection] = Field(default_factory=list)
    alerts: AlertsSection = AlertsSection()
    autoscale: AutoscaleSection = AutoscaleSection()
    #: Where relative paths begin; not an option of the file.
    base: Path = Field(default_factory=Path.cwd, exclude=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for kind, names in (
            ("feed", [f.name for f in self.feeds]),
            ("trigger", [t.name for t in self.triggers]),
        ):
            twice = {name for name in names if names.count(name) > 1}
            if twice:
                raise ValueError(f"two {kind}s are named {min(twice)}")
        feeds = [feed.name for feed in self.feeds]
        for trigger in self.triggers:
            if trigger.feed not in feeds:
                raise ValueError(
                    f"trigger {trigger.name} names the feed {trigger.feed}, which does not exist"
                    + _nearest(trigger.feed, feeds)
                )
            sweeps = None if trigger.gather is None else trigger.gather.sweeps
            if sweeps is not None and sweeps not in feeds:
                raise ValueError(
                    f"trigger {trigger.name} names the feed of sweeps {sweeps}, which does not exist"
                    + _nearest(sweeps, feeds)
                )
            hold_min = (trigger.precursor or PrecursorSection()).hold_min
            if trigger.kind == "precursor" and self.alerts.places and hold_min <= self.alerts.clear_min:
                raise ValueError(
                    f"trigger {trigger.name}: precursor.hold_min {hold_min:g} must be more than alerts.clear_min "
                    f"{self.alerts.clear_min:g}, or nobody is told that the hail is over"
                )
        return self

    def path(self, text: str) -> Path:
        """Return a path of the file as an absolute one."""
        return Path(os.path.normpath(self.base / Path(text).expanduser()))

    @property
    def state_dir(self) -> Path:
        """The daemon's own folder."""
        return self.path(self.folders.state)

    @property
    def runs_dir(self) -> Path:
        """The folder of run folders."""
        return self.path(self.folders.runs) if self.folders.runs else self.state_dir / "runs"

    @property
    def products_dir(self) -> Path:
        """The folder of published products."""
        return self.path(self.folders.products)

    @property
    def quarantine_dir(self) -> Path:
        """The folder of bad files."""
        return self.path(self.folders.quarantine) if self.folders.quarantine else self.state_dir / "quarantine"

    @property
    def store_url(self) -> str | Path:
        """The store; a relative SQLite path is relative to the file."""
        url = self.store.url
        if url is None:
            return self.state_dir / "store.sqlite"
        prefix = "sqlite:///"
        return self.path(url.removeprefix(prefix)) if url.startswith(prefix) else url


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InputError
        If it is not TOML, or an option is unknown or unfit; the message names it and the nearest one that exists.
    """
    try:
        with path.open("rb") as stream:
            data = tomllib.load(stream)
    except FileNotFoundError:
        raise NotFoundError(
            "no such configuration file", where=path, hint="dynamo config example > dynamo.toml"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not TOML: {error}", where=path) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from error
    return parse_config(data, base=path.absolute().parent, where=path)


def find_config(named: Path | None = None) -> Config:
    """Return the named file, the one of the environment, ``dynamo.toml`` here, or the defaults."""
    if named is not None:
        return load_config(named)
    if os.environ.get(ENVIRONMENT):
        return load_config(Path(os.environ[ENVIRONMENT]))
    here = Path(DEFAULT_FILE)
    return load_config(here) if here.exists() else Config(base=Path.cwd())


def parse_config(data: Mapping[str, Any], *, base: Path, where: object = None) -> Config:
    """Return the configuration of TOML data; raises `InputError` naming every option that is wrong."""
    if "base" in data:
        raise InputError("base: unknown option", where=where)
    try:
        return Config.model_validate({**data, "base": base})
    except ValidationError as error:
        problems = [_describe(problem, data) for problem in error.errors()]
        raise InputError("; ".join(problems), where=where, hint="dynamo config docs") from error


def _describe(problem: Any, data: Any) -> str:
    location = problem["loc"]
    path = _path(location)
    if problem["type"] == "extra_forbidden":
        known = sorted(_options(location[:-1], data))
        return f"{path}: unknown option{_nearest(str(location[-1]), known)}, expected one of {', '.join(known)}"
    message = problem["msg"].removeprefix("Value error, ")
    value = problem.get("input")
    shown = f" (it is {value!r:.60})" if isinstance(value, str | int | float | bool) else ""
    return f"{path or 'file'}: {message[:1].lower()}{message[1:]}{shown}"


def _path(location: tuple[str | int, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _options(location: tuple[str | int, ...], data: Any) -> list[str]:
    """Return the names that are allowed at a place in the file."""
    sections: dict[str, type[BaseModel]] = {
        "store": StoreSection,
        "folders": FoldersSection,
        "runs": RunsSection,
        "watch": WatchSection,
        "engines": EngineSection,
        "feeds": FeedSection,
        "triggers": TriggerSection,
        "alerts": AlertsSection,
        "autoscale": AutoscaleSection,
    }
    words = [part for part in location if isinstance(part, str)]
    if not words:
        return list(sections)
    if words[-1] == "channels":
        for part in location:
            data = data[part]
        return list(CHANNELS.load(data["kind"]).options.model_fields)
    nested: dict[str, type[BaseModel]] = {
        "condition": ConditionSection,
        "precursor": PrecursorSection,
        "gather": GatherSection,
    }
    model = nested.get(words[-1]) or sections[words[0]]
    return list(model.model_fields)


def _nearest(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
