"""The configuration file `dynamo.toml`: every option and its meaning, in one place.

`dynamo.config.docs` builds the manual page and the commented example from these models.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dynamo.config.alerts import AlertsSection
from dynamo.config.autoscale import AutoscaleSection
from dynamo.config.feeds import FeedSection
from dynamo.config.names import EngineName
from dynamo.config.problems import describe
from dynamo.config.triggers import TriggerSection
from dynamo.documents.section import ByKind, Section
from dynamo.doors import FEEDS, TRIGGERS
from dynamo.errors import InputError, NotFoundError

#: Read when no file is named; the environment variable takes precedence.
DEFAULT_FILE = "dynamo.toml"
ENVIRONMENT = "DYNAMO_CONFIG"


class StoreSection(Section):
    """The database that holds everything that must survive a crash."""

    url: str | None = Field(
        None,
        description="`sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`. Default: SQLite in `folders.state`.",
    )


class FoldersSection(Section):
    """Folders. Relative paths start from the folder of this file."""

    state: str = Field(".dynamo", description="Daemon state: SQLite store, run folders, quarantine.")
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


class Config(Section):
    """The whole file."""

    store: StoreSection = StoreSection()
    folders: FoldersSection = FoldersSection()
    runs: RunsSection = RunsSection()
    watch: WatchSection = WatchSection()
    engines: dict[str, EngineSection] = Field(default_factory=dict)
    feeds: list[Annotated[FeedSection, ByKind(FEEDS, "directory")]] = Field(default_factory=list)
    triggers: list[Annotated[TriggerSection, ByKind(TRIGGERS, "arrival")]] = Field(default_factory=list)
    alerts: AlertsSection = AlertsSection()
    autoscale: AutoscaleSection = AutoscaleSection()
    #: Where relative paths start; not an option of the file.
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
            if problem := trigger.problem(feeds, self.alerts):
                raise ValueError(problem)
        return self

    def path(self, text: str) -> Path:
        """Return a path from the file as an absolute path."""
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
    """Return the named file, the one in the environment, ``dynamo.toml`` here, or the defaults."""
    if named is not None:
        return load_config(named)
    if os.environ.get(ENVIRONMENT):
        return load_config(Path(os.environ[ENVIRONMENT]))
    here = Path(DEFAULT_FILE)
    return load_config(here) if here.exists() else Config(base=Path.cwd())


def parse_config(data: Mapping[str, Any], *, base: Path, where: object = None) -> Config:
    """Return the configuration in TOML data; raise `InputError` naming every bad option."""
    if "base" in data:
        raise InputError("base: unknown option", where=where)
    try:
        return Config.model_validate({**data, "base": base})
    except ValidationError as error:
        problems = "; ".join(describe(problem, Config, data) for problem in error.errors())
        raise InputError(problems, where=where, hint="dynamo config docs") from error
