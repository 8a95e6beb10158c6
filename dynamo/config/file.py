"""The configuration file `dynamo.toml`: every option and its meaning, in one place.

`dynamo.config.docs` builds the manual page and the commented example from these models.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import PydanticCustomError

from dynamo.config.alerts import AlertsSection
from dynamo.config.assets import AssetSection
from dynamo.config.autoscale import AutoscaleSection
from dynamo.config.checks import CheckSection
from dynamo.config.feeds import FeedSection
from dynamo.config.freshness import FreshnessSection, JobSection, MaintenanceSection, PulseSection
from dynamo.config.names import EngineName
from dynamo.config.problems import CONFLICTS, describe_all, feed_hint, named, twice
from dynamo.config.project import CONFIG_FILE, STATE_FOLDER, project_folder, user_state
from dynamo.config.provenance import ProvenanceSection
from dynamo.config.retention import RetentionSection
from dynamo.config.serve import ServeSection
from dynamo.config.triggers import TriggerSection
from dynamo.documents.problems import MistakesError
from dynamo.documents.section import ByKind, Section
from dynamo.doors import FEEDS, TRIGGERS
from dynamo.errors import InputError, NotFoundError
from dynamo.files import expanded

#: The file to read when none is named.
ENVIRONMENT = "DYNAMO_CONFIG"


class StoreSection(Section):
    """The database that holds everything that must survive a crash."""

    url: str | None = Field(
        None,
        description="`sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`. Default: SQLite in `folders.state`.",
    )


class FoldersSection(Section):
    """Folders. Relative paths start from the folder of this file."""

    state: str = Field(STATE_FOLDER, description="Daemon state: SQLite store, run folders, quarantine.")
    runs: str | None = Field(None, description="Run folders. Default: `runs` in `state`.")
    products: str = Field("products", description="Published products: `WORKFLOW/YYYYmmdd/HHMMSS-KEY/`.")
    quarantine: str | None = Field(None, description="Bad files. Default: `quarantine` in `state`.")


class RunsSection(Section):
    """How runs are executed and published."""

    engine: EngineName = Field("local", description="Engine for runs whose trigger names none.")
    max_runs: int = Field(2, ge=1, le=1000, description="Maximum concurrent runs; the freshest go first.")
    keep_succeeded_h: float = Field(
        24.0, ge=0, description="Hours to keep the run folder of a succeeded run (products stay)."
    )
    keep_failed_h: float = Field(
        168.0,
        ge=0,
        description="Hours to keep the run folder of a failed, canceled or skipped run.",
    )
    min_free_mb: int = Field(
        200, ge=0, description="Start no run with less than this free disk space, in MB, for runs or products."
    )
    fsync: bool = Field(
        True,
        description="Flush products to disk before publishing them, so that a power loss leaves no partial product; "
        "costs about 20 ms per run on an SSD. A killed process never leaves one.",
    )
    refit_runs: int = Field(20, ge=0, description="Refit the cost model every N runs; 0: never.")


class WatchSection(Section):
    """How the daemon behaves."""

    stop_grace_s: float = Field(
        3.0,
        ge=0,
        le=600,
        description="Seconds runs get to finish on SIGTERM; the rest resume at the next start.",
    )
    resume_s: float = Field(
        30.0, gt=0, description="Seconds between checks for unfinished runs that nobody is working on."
    )
    log_format: Literal["logfmt", "json"] = Field("logfmt", description="Format of log lines on standard error.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level to log.")


class EngineSection(Section):
    """Options of one engine, and how it groups jobs."""

    options: dict[str, Any] = Field(
        default_factory=dict, description="Options of the engine itself, such as `workers` for local."
    )
    slots: int | None = Field(None, ge=1, description="Concurrent jobs, for the physical plan.")
    job_overhead_s: float | None = Field(None, ge=0, description="Overhead per task, in seconds.")
    single_threshold_s: float | None = Field(
        None, ge=0, description="Run a whole workflow as one task up to this many predicted CPU seconds."
    )


@dataclass
class _Rest:
    """Context of the validation of what is left of a file without its broken sections."""

    #: Names of feeds that are there but wrong in themselves.
    broken_feeds: Sequence[str]
    #: Receives what is wrong between the sections.
    conflicts: list[str]


class Config(Section):
    """The whole file."""

    store: StoreSection = StoreSection()
    folders: FoldersSection = FoldersSection()
    runs: RunsSection = RunsSection()
    watch: WatchSection = WatchSection()
    engines: dict[str, EngineSection] = Field(default_factory=dict)
    feeds: list[Annotated[FeedSection, ByKind(FEEDS, "directory")]] = Field(default_factory=list)
    triggers: list[Annotated[TriggerSection, ByKind(TRIGGERS, "arrival")]] = Field(default_factory=list)
    assets: list[AssetSection] = Field(default_factory=list)
    alerts: AlertsSection = AlertsSection()
    autoscale: AutoscaleSection = AutoscaleSection()
    retention: RetentionSection = RetentionSection()
    provenance: ProvenanceSection = ProvenanceSection()
    freshness: FreshnessSection = FreshnessSection()
    maintenance: list[MaintenanceSection] = Field(default_factory=list)
    jobs: list[JobSection] = Field(default_factory=list)
    pulse: PulseSection = PulseSection()
    checks: dict[str, CheckSection] = Field(default_factory=dict)
    serve: ServeSection = ServeSection()
    #: Where relative paths start; not an option of the file.
    base: Path = Field(default_factory=Path.cwd, exclude=True)

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rest: _Rest | None = info.context
        feeds = [*(feed.name for feed in self.feeds), *(rest.broken_feeds if rest else ())]
        found = [f"two feeds are named {name}" for name in twice(feeds)]
        found += [f"two triggers are named {name}" for name in twice(trigger.name for trigger in self.triggers)]
        found += [f"two assets are named {name}" for name in twice(asset.name for asset in self.assets)]
        found += [f"two assets are of {name}" for name in twice(asset.of for asset in self.assets)]
        found += [f"two jobs are named {name}" for name in twice(job.name for job in self.jobs)]
        found += [
            f"maintenance names the feed {name}, which does not exist{feed_hint(name, feeds)}"
            for window in self.maintenance
            for name in window.feeds
            if name not in feeds
        ]
        found += [problem for trigger in self.triggers if (problem := trigger.problem(feeds, self.alerts))]
        found += [problem for name, check in self.checks.items() if (problem := check.problem(name))]
        if rest is not None:
            rest.conflicts += found
        elif found:
            raise PydanticCustomError(CONFLICTS, "{text}", {"text": "; ".join(found), "found": found})
        return self

    def path(self, text: str) -> Path:
        """Return a path from the file as an absolute path."""
        return Path(os.path.normpath(self.base / expanded(text)))

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
        If the file does not exist.
    InputError
        If it is not TOML, or an option is unknown or invalid; the message names it and the closest match.
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
        raise InputError(f"cannot read: {error.strerror}", where=path) from error
    return parse_config(data, base=path.absolute().parent, where=path)


def find_config(named: Path | None = None) -> Config:
    """Return the named file, the one in the environment, that of this project, or the defaults.

    Without a file, state is that of the project, or the user's own outside any; see `dynamo.config.project`.
    """
    if named is not None:
        return load_config(named)
    if os.environ.get(ENVIRONMENT):
        return load_config(Path(os.environ[ENVIRONMENT]))
    folder = project_folder(Path.cwd())
    if folder is None:
        return Config(base=user_state(), folders=FoldersSection(state="."))
    file = folder / CONFIG_FILE
    return load_config(file) if file.is_file() else Config(base=folder)


def parse_config(data: Mapping[str, Any], *, base: Path, where: object = None) -> Config:
    """Return the configuration in TOML data; raise `ConfigError` naming every bad option."""
    if "base" in data:
        raise InputError("base: unknown option", where=where)
    try:
        config = Config.model_validate({**data, "base": base})
    except ValidationError as error:
        problems = describe_all(error, Config, data)
        rest, more = _rest(data, error, base)
        raise ConfigError([*problems, *more], rest, data, where=where) from error
    if config.retention.warm is not None:
        config.retention.warm.declare()
    return config


class ConfigError(MistakesError):
    """Everything that is wrong with a configuration file.

    Attributes
    ----------
    rest
        The configuration without the sections that are wrong; None if nothing is left.
    data
        The whole file as plain data.
    """

    def __init__(
        self, mistakes: Sequence[str], rest: Config | None, data: Mapping[str, Any], *, where: object = None
    ) -> None:
        super().__init__(mistakes, where=where, hint="dynamo config docs")
        self.rest = rest
        self.data = data


def _rest(data: Mapping[str, Any], error: ValidationError, base: Path) -> tuple[Config | None, list[str]]:
    """Return the configuration without broken sections, and what else is wrong between the sections."""
    broken = {tuple(problem["loc"][:2]) for problem in error.errors(include_url=False)}
    left: dict[str, Any] = {"base": base}
    for name, section in data.items():
        if name in ("feeds", "triggers") and isinstance(section, list):
            left[name] = [item for index, item in enumerate(section) if (name, index) not in broken]
        elif not any(place[:1] == (name,) for place in broken):
            left[name] = section
    feeds = named(data.get("feeds"))
    missing = [index for index in range(len(feeds)) if ("feeds", index) in broken]
    loose = [
        f"trigger {name or index + 1} names the feed {feed}, which does not exist{feed_hint(feed, feeds)}"
        for index, (name, feed) in enumerate(
            zip(named(data.get("triggers")), named(data.get("triggers"), "feed"), strict=True)
        )
        if ("triggers", index) in broken and feed and feed not in feeds
    ]
    rest = _Rest([feeds[index] for index in missing], loose)
    try:
        config = Config.model_validate(left, context=rest)
    except ValidationError:
        return None, loose
    # Where each section is right for itself, the error has what is wrong between them.
    return config, [] if () in broken else loose
