"""Tokens of an identity provider: forged, stale and smuggled ones prove nothing; keys rotate under a bound."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from identity_provider import AUDIENCE, ISSUER, Provider, claims_of, provider_server, public_jwk, sign
from portal_lake import Start, plant, provided

from analytics_platform.catalog import Catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.portal.service import PortalRefusedError, portal_from
from analytics_platform.portal.tokens import (
    FRESH_SECONDS,
    STALE_SECONDS,
    Issuer,
    KeySet,
    KeysUnknownError,
    TokenRefusedError,
    TokenVerifier,
)
from analytics_platform.settings import Settings

KEY = "/dashboards/finance/executive.html"


@pytest.fixture
def own_provider() -> Iterator[Provider]:
    with provider_server() as server:
        yield server


def verifier(provider: Provider, **changed: object) -> TokenVerifier:
    told = {"issuer": ISSUER, "audience": AUDIENCE, "jwks": provider.address, "algorithms": ("RS256", "ES256")}
    return TokenVerifier(Issuer(**{**told, **changed}))  # type: ignore[arg-type]


def encoded(part: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def test_a_token_that_is_right_names_its_principal(provider: Provider) -> None:
    assert verifier(provider).verify(provider.token("usr_1")).principal == "usr_1"
    assert verifier(provider).verify(provider.token("usr_1", aud=["other", AUDIENCE])).principal == "usr_1"
    claimed = verifier(provider, principal_claim="oid", groups_claim="groups").verify(
        provider.token("x", oid="usr_2", groups=["analytics.finance"])
    )
    assert (claimed.principal, claimed.groups) == ("usr_2", ("analytics.finance",))


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": -120},
        {"exp": None},
        {"iat": None},
        {"iat": 600},
        {"nbf": 600},
        {"aud": "another-client"},
        {"aud": None},
        {"iss": "https://evil.example.com"},
        {"iss": None},
        {"sub": None},
        {"sub": ""},
        {"sub": ["usr_admin"]},
        {"sub": "x" * 400},
    ],
    ids=lambda changed: f"{next(iter(changed))}",
)
def test_a_token_with_a_wrong_claim_is_refused(provider: Provider, changed: dict[str, object]) -> None:
    """Numbers are seconds from now: names of tests are made long before some of them run."""
    now = int(time.time())
    claims = {name: now + value if isinstance(value, int) else value for name, value in changed.items()}
    with pytest.raises(TokenRefusedError):
        verifier(provider).verify(provider.token("usr_1", **claims))


def test_a_little_difference_of_clocks_is_forgiven(provider: Provider) -> None:
    assert verifier(provider).verify(provider.token("usr_1", exp=int(time.time()) - 10))


def test_an_address_counts_only_where_the_provider_has_verified_it(provider: Provider) -> None:
    by_email = verifier(provider, principal_claim="email")
    assert by_email.verify(provider.token("x", email="a@example.com", email_verified=True)).principal == "a@example.com"
    for told in (False, None, "true"):
        with pytest.raises(TokenRefusedError):
            by_email.verify(provider.token("x", email="a@example.com", email_verified=told))


def test_no_signature_but_the_providers_counts(own_provider: Provider) -> None:
    provider = own_provider
    claims = claims_of("usr_admin")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    provider.keys["rsa"] = rsa_key
    pem = rsa_key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    good = provider.token("usr_1")
    head, body, signature = good.split(".")
    with_public_key = f"{encoded({'alg': 'HS256', 'typ': 'JWT', 'kid': 'rsa'})}.{encoded(claims)}"
    mac = base64.urlsafe_b64encode(hmac.new(pem, with_public_key.encode(), hashlib.sha256).digest()).rstrip(b"=")
    forged = {
        "no algorithm": f"{encoded({'alg': 'none', 'kid': 'one'})}.{encoded(claims)}.",
        "no algorithm in capitals": f"{encoded({'alg': 'NONE', 'kid': 'one'})}.{encoded(claims)}.",
        "shared secret made of the public key": f"{with_public_key}.{mac.decode()}",
        "another key under the same id": sign(claims, ec.generate_private_key(ec.SECP256R1()), "one"),
        "an id that nobody has": sign(claims, provider.keys["one"], "two"),
        "an algorithm of another key": sign(claims, rsa_key, "rsa", "PS256"),
        "a stronger algorithm that is not allowed": sign(claims, rsa_key, "rsa", "RS512"),
        "other claims": f"{head}.{encoded(claims)}.{signature}",
        "a cut signature": good[:-4],
        "no signature": f"{head}.{body}.",
        "no token": "usr_admin",
        "nothing": "",
        "a key of its own": jwt.encode(
            claims,
            ec.generate_private_key(ec.SECP256R1()),
            "ES256",
            headers={"kid": "mine", "jwk": public_jwk(provider.keys["one"], "one"), "jku": "http://127.0.0.1:1/"},
        ),
        "too long": provider.token("x" * 20_000),
    }
    judge = verifier(provider)
    assert judge.verify(provider.token("usr_1", key="rsa")).principal == "usr_1"
    taken = [name for name, token in forged.items() if is_taken(judge, token)]
    assert taken == []


def is_taken(judge: TokenVerifier, token: str) -> bool:
    try:
        judge.verify(token)
    except TokenRefusedError:
        return False
    return True


def test_keys_rotate_and_strangers_cause_no_traffic(own_provider: Provider) -> None:
    now = [1000.0]
    keys = KeySet(own_provider.address, lambda: now[0])
    assert keys.find("one")
    own_provider.keys["two"] = ec.generate_private_key(ec.SECP256R1())
    for _ in range(50):
        with pytest.raises(TokenRefusedError):
            keys.find("two")
    assert own_provider.asked == 1, "too soon to ask again"
    now[0] += 11
    assert keys.find("two")
    assert own_provider.asked == 2
    del own_provider.keys["one"]
    assert keys.find("one"), "a fresh set is used as it is"
    now[0] += FRESH_SECONDS + 1
    with pytest.raises(TokenRefusedError):
        keys.find("one")


def test_keys_that_cannot_be_read_count_for_a_while_and_then_nobody_is_known(own_provider: Provider) -> None:
    now = [1000.0]
    keys = KeySet(own_provider.address, lambda: now[0])
    assert keys.find("one")
    bodies = [
        b"<html>",
        b"[]",
        b'{"keys": []}',
        b'{"keys": [7]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}',
        b"x" * 300_000,
    ]
    for body in bodies:
        own_provider.body = body
        now[0] += FRESH_SECONDS + 1
        assert keys.find("one")
    own_provider.status = 500
    now[0] += STALE_SECONDS
    with pytest.raises(KeysUnknownError, match="portal_oidc_jwks"):
        keys.find("one")
    own_provider.status, own_provider.body = 200, None
    now[0] += 11
    assert keys.find("one")


def test_keys_may_lie_in_a_file(provider: Provider, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(provider.jwks())
    assert verifier(provider, jwks=str(path)).verify(provider.token("usr_1"))
    with pytest.raises(KeysUnknownError):
        verifier(provider, jwks=str(tmp_path / "none.json")).verify(provider.token("usr_1"))


def test_a_portal_that_could_verify_nobody_does_not_start(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, portal_login="oidc", portal_oidc_issuer=ISSUER)
    with pytest.raises(PortalRefusedError, match="portal_oidc_audience, portal_oidc_jwks"):
        portal_from(settings, LocalStore(tmp_path / "lake"))


@pytest.mark.integration
def test_only_a_verified_token_is_an_identity(by_token: httpx.Client, provider: Provider) -> None:
    good = provider.token("usr_executive")
    assert by_token.get(KEY, headers={"Authorization": f"bearer {good}"}).status_code == 200
    for headers in (
        {},
        {"X-Forwarded-User": "usr_executive", "X-Forwarded-Email": "a@b.c", "X-Forwarded-Groups": "analytics.admin"},
        {"X-Auth-Request-User": "usr_executive", "Remote-User": "usr_executive"},
        {"X-Forwarded-Access-Token": good},
        {"Authorization": good},
        {"Authorization": f"Basic {good}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {good}, Bearer {good}"},
        {"Cookie": "portal_session=usr_executive"},
    ):
        answer = by_token.get(KEY, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), headers
    assert by_token.get("/login").status_code == 401, "there is no local login beside a provider"


@pytest.mark.integration
def test_a_second_header_is_refused_and_never_chosen_from(by_token: httpx.Client, provider: Provider) -> None:
    good, other = provider.token("usr_executive"), provider.token("usr_admin")
    for pair in ((good, other), (good, good), (good, "x")):
        connection = http.client.HTTPConnection(by_token.base_url.host, by_token.base_url.port)
        connection.putrequest("GET", KEY)
        for token in pair:
            connection.putheader("Authorization", f"Bearer {token}")
        connection.endheaders()
        assert connection.getresponse().status == 401
        connection.close()


@pytest.mark.integration
def test_the_header_is_the_one_that_is_set(tmp_path: Path, catalog: Catalog, provider: Provider, start: Start) -> None:
    plant(tmp_path, catalog)
    client = start(provided(tmp_path, provider, portal_oidc_header="X-Amzn-Oidc-Data"))
    token = provider.token("usr_executive")
    assert client.get(KEY, headers={"x-amzn-oidc-data": token}).status_code == 200
    assert client.get(KEY, headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert client.get(KEY, headers={"X_Amzn_Oidc_Data": token}).status_code == 401


@pytest.mark.integration
def test_a_refusal_is_on_record_with_its_reason_and_without_the_token(
    tmp_path: Path, catalog: Catalog, provider: Provider, start: Start
) -> None:
    plant(tmp_path, catalog)
    client = start(provided(tmp_path, provider))
    stale = provider.token("usr_executive", exp=int(time.time()) - 900)
    client.get(f"{KEY}?token={stale}", headers={"Authorization": f"Bearer {stale}"})
    client.get("/", headers={"Authorization": f"Bearer {stale}"})
    text = next((tmp_path / "portal" / "audit").iterdir()).read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(each["action"], each["outcome"], each["status"], each["who"]) for each in lines] == [
        ("open", "refused", 401, None),
        ("enter", "refused", 401, None),
    ]
    assert {each["reason"] for each in lines} == {"ExpiredSignatureError"}
    assert not any(part in text for part in stale.split("."))
    assert "token" not in text
