"""Logins at a provider that lies, is down, or changes its keys."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dynamo.api.oidc.errors import LoginRefusedError, ProviderDownError
from dynamo.api.oidc.flow import Ended, OpenId
from dynamo.config.oidc import OidcSection
from tests.unit.api.lying_provider import KEY, OTHER_KEY, LyingProvider, lying_provider, signed, unsigned

Claims = dict[str, Any]


@pytest.fixture
def provider() -> Iterator[LyingProvider]:
    with lying_provider() as made:
        yield made


@pytest.fixture
def openid(provider: LyingProvider) -> OpenId:
    return make(provider)


def make(provider: LyingProvider, **options: Any) -> OpenId:
    given = {"issuer": provider.issuer, "public_url": "https://dynamo.example.org", "client_id": "dynamo"}
    section = OidcSection.model_validate({**given, "roles": {"ops": "operator"}, **options})
    return OpenId(section, Path())


def log_in(openid: OpenId, provider: LyingProvider, then: str = "/", **told: str) -> Ended:
    begun = openid.begin(then)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.address).query).items()}
    provider.nonce = asked["nonce"]
    return openid.end({"code": "c", "state": asked["state"], **told}, {begun.cookie: begun.value})


def test_an_honest_login_leads_to_a_person_and_back(openid: OpenId, provider: LyingProvider) -> None:
    begun = openid.begin("/runs?state=failed")
    asked = parse_qs(urlsplit(begun.address).query)
    assert asked["redirect_uri"] == ["https://dynamo.example.org/v1/login/oidc/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid profile email"]
    assert begun.cookie.startswith("__Host-")
    ended = log_in(openid, provider, "/runs?state=failed")
    assert (ended.person.subject, ended.person.role, ended.next) == ("ann", "operator", "/runs?state=failed")
    assert '"at"' not in ended.kept
    assert log_in(openid, provider, "//evil.example").next == "/"


def hs256_with_public_key(claims: Claims) -> str:
    text = unsigned(claims, "HS256").rpartition(".")[0]
    mac = hmac.digest(KEY.as_pem(private=False), text.encode(), hashlib.sha256)
    return unsigned(claims, "HS256", mac)


@pytest.mark.parametrize(
    "forged",
    [
        unsigned,
        lambda claims: unsigned(claims, "None"),
        hs256_with_public_key,
        lambda claims: signed(claims)[:-8] + "AAAAAAAA",
        lambda claims: signed(claims, OTHER_KEY),
        lambda claims: signed(claims, OTHER_KEY, kid="one"),
        lambda claims: signed({**claims, "aud": "another"}),
        lambda claims: signed({**claims, "aud": ["another"]}),
        lambda claims: signed({**claims, "aud": ["another", "dynamo"], "azp": "another"}),
        lambda claims: signed({**claims, "aud": ["another", "dynamo"]}),
        lambda claims: signed({**claims, "azp": "another"}),
        lambda claims: signed({**claims, "iss": "https://evil.example"}),
        lambda claims: signed({**claims, "nonce": "of another login"}),
        lambda claims: signed({name: value for name, value in claims.items() if name != "nonce"}),
        lambda claims: signed({name: value for name, value in claims.items() if name != "exp"}),
        lambda claims: signed({name: value for name, value in claims.items() if name != "sub"}),
        lambda claims: signed({**claims, "exp": int(time.time()) - 100}),
        lambda claims: signed({**claims, "iat": int(time.time()) + 1000}),
        lambda claims: signed({**claims, "sub": "bob"}),  # the provider then tells of ann
        lambda claims: signed({**claims, "sub": 7}),
        lambda claims: signed({**claims, "at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
        lambda _: "no token",
        lambda _: "",
        lambda _: "a.b.c",
    ],
)
def test_a_forged_token_lets_nobody_in(
    openid: OpenId, provider: LyingProvider, forged: Callable[[Claims], str]
) -> None:
    provider.id_token = lambda nonce: forged(provider.claims(nonce))
    with pytest.raises(LoginRefusedError) as refused:
        log_in(openid, provider)
    assert refused.value.why == "untrusted"


@pytest.mark.parametrize("skew_s", [-50, 50])
def test_clocks_may_differ_by_the_leeway(openid: OpenId, provider: LyingProvider, skew_s: int) -> None:
    now = int(time.time()) + skew_s
    provider.id_token = lambda nonce: signed(provider.claims(nonce, iat=now, exp=now + (1 if skew_s < 0 else 300)))
    assert log_in(openid, provider).person.subject == "ann"
    with pytest.raises(LoginRefusedError):
        log_in(make(provider, leeway_s=10), provider)


def test_a_key_that_was_changed_is_asked_for_once(openid: OpenId, provider: LyingProvider) -> None:
    log_in(openid, provider)
    log_in(openid, provider)
    assert provider.asked.count("/keys") == 1
    provider.keys = [OTHER_KEY.as_dict(private=False)]
    provider.id_token = lambda nonce: signed(provider.claims(nonce), OTHER_KEY)
    log_in(openid, provider)
    assert provider.asked.count("/keys") == 2
    # A key that it does not have is looked for once a login, not for ever.
    provider.id_token = lambda nonce: signed(provider.claims(nonce), KEY)
    with pytest.raises(LoginRefusedError):
        log_in(openid, provider)
    assert provider.asked.count("/keys") == 3


def test_keys_that_are_secrets_verify_nothing(openid: OpenId, provider: LyingProvider) -> None:
    provider.keys.append({"kty": "oct", "k": "c2VjcmV0", "kid": "three"})
    provider.keys.append({"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA", "kid": "four"})
    assert log_in(openid, provider).person.subject == "ann"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"state": "another"}, "expired"),
        ({"state": ""}, "expired"),
        ({"iss": "https://evil.example"}, "untrusted"),
    ],
)
def test_answers_of_another_login_or_provider_count_for_nothing(
    openid: OpenId, provider: LyingProvider, told: dict[str, str], why: str
) -> None:
    with pytest.raises(LoginRefusedError) as refused:
        log_in(openid, provider, **told)
    assert refused.value.why == why
    assert "/token" not in provider.asked


def test_another_browser_cannot_end_a_login(openid: OpenId) -> None:
    """Whoever sends a victim the end of a login of their own does not log the victim in."""
    begun = openid.begin("/")
    state = parse_qs(urlsplit(begun.address).query)["state"][0]
    with pytest.raises(LoginRefusedError, match="another browser"):
        openid.end({"code": "c", "state": state}, {})


def test_a_refusal_at_the_provider_is_told(openid: OpenId) -> None:
    begun = openid.begin("/")
    state = parse_qs(urlsplit(begun.address).query)["state"][0]
    with pytest.raises(LoginRefusedError, match="access_denied") as refused:
        openid.end({"error": "access_denied", "state": state}, {begun.cookie: begun.value})
    assert refused.value.why == "denied"


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"token_endpoint": None},
        {"authorization_endpoint": ["x"]},
        {"jwks_uri": "file:///etc/passwd"},
    ],
)
def test_addresses_of_a_provider_must_be_its_own_and_safe(provider: LyingProvider, metadata: dict[str, Any]) -> None:
    provider.metadata = metadata
    with pytest.raises(ProviderDownError):
        make(provider).begin("/")


def test_a_provider_that_is_down_is_told_of_once_and_left_alone(
    openid: OpenId, provider: LyingProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "dynamo.api.oidc")
    provider.status = 500
    for _ in range(3):
        with pytest.raises(ProviderDownError, match="does not answer"):
            openid.begin("/")
    assert len(provider.asked) == 1
    provider.status = 200
    monkeypatch.setattr("dynamo.api.oidc.provider.time.monotonic", lambda real=time.monotonic: real() + 10)
    openid.begin("/")
    assert [record.message for record in caplog.records] == [
        "nobody can log in at the provider",
        "people can log in at the provider again",
    ]


def test_nobody_waits_for_a_provider_that_hangs(provider: LyingProvider) -> None:
    provider.answers.clear()
    openid = make(provider, timeout_s=0.05)
    for _ in range(2):
        with pytest.raises(ProviderDownError, match="does not answer"):
            openid.begin("/")


def test_a_session_follows_what_the_provider_says(openid: OpenId, provider: LyingProvider) -> None:
    provider.tokens["refresh_token"] = "rt"
    kept = log_in(openid, provider).kept
    assert provider.told is not None
    provider.told["groups"] = ["ops", "other"]
    still = openid.again(kept)
    assert still is not None
    assert still.person.role == "operator"
    # Down is no answer about anybody.
    provider.status = 502
    with pytest.raises(ProviderDownError):
        openid.again(still.kept)
    provider.status = 200
    provider.told["groups"] = ["other"]
    assert openid.again(still.kept) is None
    provider.told = {"sub": "bob", "groups": ["ops"]}
    assert openid.again(still.kept) is None
    # Not a session of this server, or of a secret that was changed.
    assert openid.again("x") is None


def test_without_a_refresh_token_a_session_lasts_as_long_as_its_access(openid: OpenId, provider: LyingProvider) -> None:
    kept = log_in(openid, provider).kept
    assert openid.again(kept) is not None
    provider.status = 401
    assert openid.again(kept) is None
