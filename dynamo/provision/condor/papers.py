"""The first-boot script, filled in for one worker."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dynamo.errors import InputError, UsageError
from dynamo.pool.configuration import DOMAIN
from dynamo.pool.manager import LOOPBACK, SITE_ATTRIBUTE, WORKER_ATTRIBUTE, WORKER_DOMAIN, worker_identity
from dynamo.pool.record import MARK, PoolRecord
from dynamo.provision.condor.settings import WorkerSettings
from dynamo.provision.condor.tokens import authorizations
from dynamo.resources import data_folder

#: Limit of clouds.
MOST_BYTES = 16_384
_PLACEHOLDER = re.compile(r"@([A-Z_]+)@")
#: Site names that are valid unchanged in HTCondor's configuration; jobs cannot request others.
_SITE = re.compile(r"[A-Za-z0-9_.:@ (),-]+")
_REMARK = re.compile(r"(?m)^[ \t]*#(?!!).*\n")


class PaperOptions(BaseModel):
    """What a worker may offer, and the location of its HTCondor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: int | None = Field(default=None, ge=1)
    memory_mb: int | None = Field(default=None, ge=1)
    disk_mb: int | None = Field(default=None, ge=1)
    condor_prefix: str = Field(default="", pattern=r"^(/[^'\x00-\x1f]*)?$")
    shared_files: bool = False
    site: str = Field(default="", max_length=200)


def read_options(options: Mapping[str, object] | None) -> PaperOptions:
    """Return the options of one worker.

    Raises
    ------
    InputError
        If one is unknown or has a wrong value.
    """
    try:
        return PaperOptions.model_validate(dict(options or {}))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(
            first["msg"],
            where=".".join(map(str, first["loc"])) or "options",
            expected=", ".join(PaperOptions.model_fields),
        ) from None


def boot_script(
    record: PoolRecord,
    worker: str,
    *,
    settings: WorkerSettings,
    options: PaperOptions,
    bootstrap: str = "",
    script: str = "",
) -> str:
    """Return the shell script ``worker`` runs to join the pool of ``record``.

    Parameters
    ----------
    bootstrap
        The token it uses to request its own; empty if it gets its own some other way.
    script
        The operator's script.

    Raises
    ------
    UsageError
        If the script exceeds the limit of clouds.
    """
    folder = data_folder("condor")
    here = record.address == LOOPBACK
    told = _SITE.fullmatch(options.site) is not None
    values: dict[str, object] = {
        "WORKER": worker,
        "WORKER_ATTRIBUTE": WORKER_ATTRIBUTE,
        "WORKER_DOMAIN": WORKER_DOMAIN,
        "SITE": f'{SITE_ATTRIBUTE} = "{options.site}"' if told else "",
        "SITE_ATTRIBUTE": SITE_ATTRIBUTE if told else "",
        "IDENTITY": worker_identity(worker),
        "DOMAIN": DOMAIN,
        # Job files are transferred to a worker that does not share this machine's disk.
        "FILES": DOMAIN if options.shared_files else f"{worker}.{WORKER_DOMAIN}",
        "MANAGER": record.address,
        "PORT": record.port,
        "LISTEN": f"NETWORK_INTERFACE = {LOOPBACK}\nBIND_ALL_INTERFACES = FALSE" if here else "",
        "MARK": MARK,
        "ID": record.id,
        "PREFIX": options.condor_prefix,
        "CPUS": options.cpus or "",
        "MEMORY_MB": options.memory_mb or "",
        "DISK_MB": options.disk_mb or "",
        "AUTHZ": shlex.join(authorizations()),
        "LIFETIME_S": settings.token_s,
        "GRACE_S": settings.grace_s,
        "CHECK_S": settings.check_s,
        "STEP_S": min(5, settings.check_s),
        "JOIN_S": settings.boot_s,
        "NOCLAIM_S": settings.noclaim_s,
        "UPDATE_S": settings.update_s,
        "FRESH_S": settings.fresh_s,
        "BOOTSTRAP": bootstrap,
        "SCRIPT": base64.encodebytes(script.encode()).decode().strip() if script.strip() else "",
    }
    values["CONFIGURATION"] = _fill(folder / "worker.conf", values)
    text = _REMARK.sub("", _fill(folder / "worker_boot.sh", values))
    size = len(text.encode())
    if size > MOST_BYTES:
        raise UsageError(
            f"the first-boot script would be {size} bytes",
            where=worker,
            expected=f"at most {MOST_BYTES}",
            hint="shorten the post-boot script, or have it fetch what it needs",
        )
    return text


def _fill(template: Path, values: Mapping[str, object]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise InputError(f"no value for @{match[1]}@", where=template)
        return str(values[match[1]])

    return _PLACEHOLDER.sub(replace, template.read_text())
