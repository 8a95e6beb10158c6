"""Logins at a provider: which settings are safe, who gets which role, and where a login may lead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dynamo.api.oidc.errors import LoginRefusedError
from dynamo.api.oidc.paths import local_path
from dynamo.api.oidc.people import claim, person_of
from dynamo.api.oidc.sealing import Seal
from dynamo.api.oidc.secret import client_secret
from dynamo.config.oidc import OidcSection
from dynamo.errors import InputError, NotFoundError


def section(**options: Any) -> OidcSection:
    given = {
        "issuer": "https://login.example.org",
        "public_url": "https://dynamo.example.org",
        "client_id": "dynamo",
        "roles": {"ops": "operator", "staff": "viewer"},
    }
    return OidcSection.model_validate({**given, **options})


@pytest.mark.parametrize(
    "path", ["/", "/runs?state=failed&radar=KFWS", "/runs/abc%2F..#jobs", "/map?at=1%2B1", "/%2f%2fevil"]
)
def test_a_login_leads_back_to_a_page(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "///evil.example",
        r"/\evil.example",
        r"\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "https://evil.example",
        "https:evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "evil.example",
        " //evil.example",
        "/ok\r\nSet-Cookie: x=1",
        "/" + "x" * 3000,
        "/v1/login/oidc?next=/",
        "/\uff0f\uff0fevil.example",
        "//[",
        "",
    ],
)
def test_a_login_leads_to_no_other_host(path: str) -> None:
    assert local_path(path) == "/"


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"groups": ["staff", "ops", "other"]}, "operator"),
        ({"groups": "staff"}, "viewer"),
        ({"groups": [["ops"], {"ops": 1}, None, 3, "other"]}, None),
        ({"groups": {"ops": "ops"}}, None),
        ({"groups": None}, None),
        ({}, None),
    ],
)
def test_the_highest_role_of_the_groups_counts(claims: dict[str, Any], role: str | None) -> None:
    if role is None:
        with pytest.raises(LoginRefusedError, match="no role here") as refused:
            person_of(section(), {"sub": "1", **claims})
        assert refused.value.why == "role"
        assert person_of(section(default_role="researcher"), {"sub": "1", **claims}).role == "researcher"
    else:
        assert person_of(section(), {"sub": "1", **claims}).role == role


def test_claims_are_found_by_name_and_by_path() -> None:
    claims = {"https://example.org/roles": ["a"], "realm_access": {"roles": ["b"]}, "groups": "c"}
    found = [claim(claims, path) for path in ("https://example.org/roles", "realm_access.roles", "groups.x", "x.y")]
    assert found == [["a"], ["b"], None, None]


@pytest.mark.parametrize(
    "verified", [{}, {"email_verified": False}, {"email_verified": "false"}, {"email_verified": 1}]
)
def test_an_address_that_nobody_verified_gives_no_role(verified: dict[str, Any]) -> None:
    by_email = section(roles_claim="email", roles={"ann@example.org": "admin"})
    told = {"sub": "1", "email": "ann@example.org"}
    assert person_of(by_email, {**told, "email_verified": True}).role == "admin"
    with pytest.raises(LoginRefusedError):
        person_of(by_email, {**told, **verified})


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "ann", "name": "Ann Lee"}, "ann"),
        ({"name": "Ann Lee"}, "Ann Lee"),
        ({"preferred_username": ["ann"], "name": "  "}, "1"),
        ({"preferred_username": "a\u202enn\x1b[2J\nb"}, "a\ufffdnn\ufffd[2J b"),
        ({"preferred_username": "x" * 500}, "x" * 100),
    ],
)
def test_names_are_shown_safely(claims: dict[str, Any], name: str) -> None:
    assert person_of(section(default_role="viewer"), {"sub": "1", **claims}).name == name


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"issuer": "http://login.example.org"}, "expected https"),
        ({"issuer": "https://"}, "expected https"),
        ({"issuer": "https://[::1"}, "not an address"),
        ({"public_url": "https://user:word@dynamo.example.org"}, "without a user"),
        ({"public_url": "https://dynamo.example.org/?x=1"}, "without a user or a query"),
        ({"scopes": ["profile"]}, "openid"),
        ({"roles": {}}, "nobody could log in"),
        ({"roles": {"ops": "root"}}, "viewer"),
        ({"parameters": {"redirect_uri": "https://evil.example"}}, "not yours to set"),
        ({"client_secret_env": "A", "client_secret_file": "b"}, "give one of"),
        ({"client_secret": "hunter22"}, "Extra inputs"),
    ],
)
def test_settings_that_would_be_unsafe_or_useless_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        section(**options)


def test_the_secret_comes_from_the_environment_or_a_private_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter22\n")
    file.chmod(0o640)
    by_file = section(client_secret_file="secret")
    with pytest.raises(InputError, match="others may read") as refused:
        client_secret(by_file, tmp_path)
    assert "hunter22" not in str(refused.value)
    file.chmod(0o600)
    assert client_secret(by_file, tmp_path) == "hunter22"
    with pytest.raises(NotFoundError, match="No such file"):
        client_secret(section(client_secret_file="other"), tmp_path)
    by_environment = section(client_secret_env="DYNAMO_TEST_SECRET")
    with pytest.raises(NotFoundError, match="DYNAMO_TEST_SECRET is empty"):
        client_secret(by_environment, tmp_path)
    monkeypatch.setenv("DYNAMO_TEST_SECRET", " hunter22 ")
    assert client_secret(by_environment, tmp_path) == "hunter22"
    assert client_secret(section(), tmp_path) is None


def test_sealed_texts_open_only_where_they_were_made_and_in_time() -> None:
    seal = Seal("secret", "login")
    text = seal.close({"nonce": "n"}, 60)
    assert seal.open(text) == Seal("secret", "login").open(text) == {"nonce": "n"}
    assert "nonce" not in text
    for other in (Seal("another", "login"), Seal("secret", "session"), Seal(None, "login"), Seal(None, "login")):
        assert other.open(text) is None
    assert seal.open(seal.close({"nonce": "n"}, -1)) is None
    for broken in ("", "x", "a.b.c.d.e", text[:-2], "é" * 9, text + "."):
        assert seal.open(broken) is None
