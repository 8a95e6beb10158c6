"""The Debian mirror this system already uses, from its own apt configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dynamo.errors import MissingPartError

APT_FOLDER = Path("/etc/apt")
#: Suite names of Debian's main archive; no other distribution uses them.
DEBIAN_SUITES = frozenset(
    {
        *("oldoldstable", "oldstable", "stable", "testing", "unstable"),
        *("bullseye", "bookworm", "trixie", "forky", "duke", "sid"),
    }
)


@dataclass(frozen=True)
class AptSource:
    """One archive, suite and its components, as in apt's configuration.

    ``signed_by`` is the keyring file configured for it, or None.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: Path | None = None

    def with_suite(self, suite: str, keyring: Path | None) -> AptSource:
        """Return the ``main`` component of another suite in the same archive."""
        return AptSource(self.uri, suite, ("main",), keyring)

    def to_deb822(self) -> str:
        """Return the stanza for a ``.sources`` file."""
        lines = [
            "Types: deb",
            f"URIs: {self.uri}",
            f"Suites: {self.suite}",
            f"Components: {' '.join(self.components)}",
        ]
        if self.signed_by is not None:
            lines.append(f"Signed-By: {self.signed_by}")
        return "\n".join(lines) + "\n"


_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<rest>.*)$")


def parse_one_line(text: str) -> list[AptSource]:
    """Parse the classic ``deb [options] uri suite component...`` format (``sources.list``)."""
    found = []
    for raw in text.splitlines():
        match = _ONE_LINE.match(raw.split("#", 1)[0].strip())
        if match is None:
            continue
        options = dict(part.split("=", 1) for part in (match["options"] or "").split() if "=" in part)
        components = tuple(match["rest"].split())
        found.append(AptSource(match["uri"], match["suite"], components, _keyring(options.get("signed-by"))))
    return found


def parse_deb822(text: str) -> list[AptSource]:
    """Parse the stanza format (``*.sources``), skipping disabled and source-only stanzas."""
    found = []
    for stanza in _stanzas(text):
        if stanza.get("enabled", "yes").lower() in {"no", "false", "0"}:
            continue
        if "deb" not in stanza.get("types", "").split():
            continue
        keyring = _keyring(stanza.get("signed-by"))
        components = tuple(stanza.get("components", "").split())
        for uri in stanza.get("uris", "").split():
            for suite in stanza.get("suites", "").split():
                found.append(AptSource(uri, suite, components, keyring))
    return found


def _stanzas(text: str) -> Iterable[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0].isspace():
            if name:
                fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()


def _keyring(value: str | None) -> Path | None:
    # An embedded key or fingerprint is also valid, but does not apply to other suites.
    first = re.split(r"[\s,]+", value.strip())[0] if value and value.strip() else ""
    return Path(first) if first.startswith("/") else None


def system_sources(folder: Path = APT_FOLDER) -> list[AptSource]:
    """Return every enabled binary source of the system, in apt's reading order."""
    found = []
    main = folder / "sources.list"
    if main.is_file():
        found += parse_one_line(main.read_text(errors="replace"))
    parts = folder / "sources.list.d"
    for path in sorted(parts.iterdir()) if parts.is_dir() else []:
        if path.suffix == ".list":
            found += parse_one_line(path.read_text(errors="replace"))
        elif path.suffix == ".sources":
            found += parse_deb822(path.read_text(errors="replace"))
    return found


def debian_archive(sources: Iterable[AptSource]) -> AptSource:
    """Return the source for Debian's main archive (not security, not third-party).

    Raises
    ------
    MissingPartError
        If there is none, as on other distributions.
    """
    for source in sources:
        if source.suite in DEBIAN_SUITES and "main" in source.components and not source.uri.startswith("cdrom:"):
            return source
    raise MissingPartError(
        "no Debian archive in the apt configuration, so HTCondor cannot be downloaded",
        where=APT_FOLDER,
        expected="an entry such as `deb URI bookworm main`",
        hint="install HTCondor with your distribution's tools so that condor_master is on PATH, "
        "or set CONDOR_CONFIG to an existing pool",
    )
