"""Reading the system's apt configuration and apt's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynamo.errors import MissingPartError
from dynamo.pool.install.apt_sources import (
    AptSource,
    debian_archive,
    parse_deb822,
    parse_one_line,
    system_sources,
)
from dynamo.pool.install.installation import has_candidate
from dynamo.pool.install.private_apt import parse_uris

ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb http://mirror.example/debian bookworm main contrib   # the archive
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://third.example/apt stable main
deb\thttp://mirror.example/debian-security\tbookworm-security main
"""

DEB822 = """
Types: deb deb-src
# a comment inside
URIs: http://a.example/debian http://b.example/debian/
Suites: bookworm bookworm-updates
Components: main
 non-free-firmware
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://embedded.example/debian
Suites: trixie
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mQINBF
 -----END PGP PUBLIC KEY BLOCK-----
"""


def test_one_line_format() -> None:
    assert parse_one_line(ONE_LINE) == [
        AptSource("http://mirror.example/debian", "bookworm", ("main", "contrib")),
        AptSource("https://third.example/apt", "stable", ("main",), Path("/usr/share/keyrings/x.gpg")),
        AptSource("http://mirror.example/debian-security", "bookworm-security", ("main",)),
    ]


def test_stanza_format() -> None:
    found = parse_deb822(DEB822)
    keyring = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    components = ("main", "non-free-firmware")
    assert found == [
        AptSource("http://a.example/debian", "bookworm", components, keyring),
        AptSource("http://a.example/debian", "bookworm-updates", components, keyring),
        AptSource("http://b.example/debian/", "bookworm", components, keyring),
        AptSource("http://b.example/debian/", "bookworm-updates", components, keyring),
        AptSource("http://embedded.example/debian", "trixie", ("main",), None),
    ]


def test_own_stanza_reads_back() -> None:
    source = AptSource("http://a.example/debian", "trixie", ("main",), Path("/k.gpg"))
    assert parse_deb822(source.to_deb822()) == [source]


def test_system_sources_reads_both_formats_and_nothing_else(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "a.list").write_text("deb http://list.example/debian sid main\n")
    (parts / "b.sources").write_text("Types: deb\nURIs: http://stanza.example/debian\nSuites: sid\nComponents: main\n")
    (parts / "c.list.disabled").write_text("deb http://off.example/debian sid main\n")
    (tmp_path / "sources.list").write_text("deb http://main.example/debian sid main\n")
    assert [source.uri for source in system_sources(tmp_path)] == [
        "http://main.example/debian",
        "http://list.example/debian",
        "http://stanza.example/debian",
    ]
    assert system_sources(tmp_path / "absent") == []


def test_the_archive_is_not_security_nor_a_third_party() -> None:
    sources = parse_one_line(
        "deb http://a.example/debian-security bookworm-security main\n"
        "deb http://b.example/repository nodistro main\n"
        "deb http://c.example/debian bookworm contrib\n"
        "deb cdrom:[Debian]/ bookworm main\n"
        "deb http://d.example/debian bookworm main\n"
    )
    assert debian_archive(sources).uri == "http://d.example/debian"


def test_other_distributions_get_the_way_out() -> None:
    with pytest.raises(MissingPartError, match="distribution's tools"):
        debian_archive(parse_one_line("deb http://a.example/ubuntu noble main universe"))


def test_uris_of_packages() -> None:
    text = (
        "Reading package lists...\n"
        "'http://a.example/pool/z/zlib1g_1.3-1_amd64.deb' zlib1g_1%3a1.3-1_amd64.deb 88892 SHA256:00\n"
        "'http://a.example/pool/l/libstdc++6_14_amd64.deb' libstdc++6_14.2.0-19_amd64.deb 713628 SHA256:11\n"
    )
    assert parse_uris(text) == [("zlib1g", 88892), ("libstdc++6", 713628)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("", False),
        ("condor:\n  Installed: (none)\n  Candidate: (none)\n", False),
        ("condor:\n  Installed: (none)\n  Candidate: 23.9.6+dfsg-2.1\n  Version table:\n", True),
    ],
)
def test_release_has_the_package(policy: str, expected: bool) -> None:
    assert has_candidate(policy) is expected
