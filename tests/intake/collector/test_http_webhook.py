"""Segment's webhook destination: who signed, what the signature covers, and that only its own key speaks for it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from http_house import BROWSER, REVOKED, SERVER, SUCCESS, House, basic, house_catalog, page, running_house

from analytics_platform.catalog import Catalog
from analytics_platform.intake.collector.webhook import WebhookSource
from analytics_platform.settings import Settings, SettingsError

SECRET = b"a shared secret"
SOURCES = [
    WebhookSource(b"another secret", BROWSER),
    WebhookSource(SECRET, SERVER),
    WebhookSource(b"of a revoked key", REVOKED),
]


@pytest.fixture(scope="module")
def own_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return house_catalog(tmp_path_factory.mktemp("tenants"))


@pytest.fixture
def house(own_catalog: Catalog, tmp_path: Path) -> Iterator[House]:
    with running_house(tmp_path, own_catalog, webhooks=SOURCES) as found:
        yield found


def signed(data: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, data, hashlib.sha1).hexdigest()


def test_a_signed_message_is_taken_in_as_its_sources(house: House) -> None:
    body = orjson.dumps(page("a", sentAt="2026-11-22T18:15:30Z", originalTimestamp="2026-11-22T10:00:00Z"))
    answer = house.post("/v1/webhook", body, key=None, x_signature=signed(body))

    assert answer.content == SUCCESS
    assert [landed["source"] for landed in house.admitted] == ["server"]


def test_of_a_batch_the_first_message_is_signed_as_segment_does(house: House) -> None:
    first, second = orjson.dumps(page("a")), orjson.dumps(page("b"))
    body = b"[" + first + b"," + second + b"]"

    assert house.post("/v1/webhook", body, key=None, x_signature=signed(first).upper()).content == SUCCESS
    assert [landed["message_id"] for landed in house.admitted] == ["a", "b"]
    assert house.post("/v1/webhook", body, key=None, x_signature=signed(body)).status_code == 401


def test_which_secret_signed_says_which_source_it_is(house: House) -> None:
    body = orjson.dumps(page("a"))
    house.post("/v1/webhook", body, key=None, x_signature=signed(body, b"another secret"))

    assert [landed["source"] for landed in house.admitted] == ["browser"]


@pytest.mark.parametrize("signature", [None, "", "0" * 40, signed(b"other"), signed(b"{}", b"wrong"), "\xe9"])
def test_what_nobody_signed_is_refused(house: House, signature: str | None) -> None:
    headers = {} if signature is None else {"x-signature": signature.encode("latin-1")}
    answer = house.client.post("/v1/webhook", content=orjson.dumps(page()), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert house.spool.given == []


def test_a_revoked_key_ends_its_webhook_too(house: House) -> None:
    body = orjson.dumps(page())

    assert house.post("/v1/webhook", body, key=None, x_signature=signed(body, b"of a revoked key")).status_code == 401


@pytest.mark.parametrize(("key", "status"), [(SERVER, 200), (BROWSER, 401)])
def test_a_write_key_beside_the_signature_must_be_the_sources(house: House, key: str, status: int) -> None:
    body = orjson.dumps(page())
    headers = {"x-signature": signed(body), "authorization": basic(f"{key}:")}

    assert house.client.post("/v1/webhook", content=body, headers=headers).status_code == status


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'[{"a":1}', b"[1] 2"])
def test_what_cannot_be_told_apart_is_refused(house: House, body: bytes) -> None:
    answer = house.post("/v1/webhook", body, key=None, x_signature=signed(body))

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")


def test_one_bad_message_leaves_the_others(house: House) -> None:
    first = orjson.dumps(page("a"))
    answer = house.post("/v1/webhook", b"[" + first + b',{"a":NaN},7]', key=None, x_signature=signed(first))

    assert [each["code"] for each in answer.json()["rejected"]] == ["invalid_json", "invalid_envelope"]
    assert [letter.raw for letter in house.letters] == [b'{"a":NaN}', b"7"]


def test_a_mistake_in_the_settings_of_webhooks_shows_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(tmp_path))
    monkeypatch.setenv("ANALYTICS_COLLECTOR_WEBHOOKS", '[{"secret": "hush-hush-hush"}]')

    with pytest.raises(SettingsError) as refused:
        Settings.from_environment()
    assert "hush" not in str(refused.value)
    assert "ANALYTICS_COLLECTOR_WEBHOOKS" in str(refused.value)


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    webhooks = [{"write_key": "the-write-key", "secret": "hush-hush-hush"}]
    settings = Settings.model_validate({"collector_webhooks": webhooks})

    assert "hush" not in repr(settings)
    assert "the-write-key" not in repr(settings)
    assert "hush" not in repr(WebhookSource(b"hush", "key"))
