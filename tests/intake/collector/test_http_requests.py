"""What clients send and what they are told: all paths, all ways of authentication, one bad message among good ones."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from http_house import (
    BROWSER,
    NOW,
    OTHER,
    REVOKED,
    SERVER,
    SUCCESS,
    TENANT,
    House,
    basic,
    batch,
    house_catalog,
    page,
    raw_batch,
    running_house,
)
from known_keys import gate_of

from analytics_platform.catalog import Catalog
from analytics_platform.intake.collector.requests import BATCH_PATHS, CALL_PATHS
from analytics_platform.intake.collector.spool import SpoolUnavailableError
from analytics_platform.intake.outcomes import Admitted, Reason, WriteKeyContext

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


@pytest.fixture(scope="module")
def own_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    return house_catalog(tmp_path_factory.mktemp("tenants"))


@pytest.fixture
def house(own_catalog: Catalog, tmp_path: Path) -> Iterator[House]:
    with running_house(tmp_path, own_catalog) as found:
        yield found


def captured(name: str) -> list[dict[str, Any]]:
    data = (CAPTURES / name).read_bytes()
    requests: list[dict[str, Any]] = json.loads(gzip.decompress(data) if name.endswith(".gz") else data)["requests"]
    return requests


@pytest.mark.parametrize("capture", sorted(path.name for path in CAPTURES.glob("*.json*")))
def test_no_request_of_a_real_client_is_refused(house: House, capture: str) -> None:
    for request in captured(capture):
        headers = {name.lower(): value for name, value in request["headers"].items()}
        body = orjson.dumps(request["body"])
        if headers.get("content-encoding") == "gzip":
            body = gzip.compress(body)
        headers["content-length"] = str(len(body))
        before = len(house.spool.given)

        answer = house.client.post(request["path"], content=body, headers=headers)

        messages = request["body"].get("batch", [request["body"]])
        assert answer.status_code == 200
        assert len(house.spool.given) - before == len(messages)
        tracked = sum(message["type"] == "track" for message in messages)
        assert len(answer.json().get("rejected", [])) == tracked, "only what the plan does not know"
        # The Node client lets events of 40 KB through.
        assert {letter.reason for letter in house.letters} <= {
            Reason.UNKNOWN_EVENT,
            Reason.SCHEMA_VIOLATION,
            Reason.TOO_LARGE,
        }


def test_success_is_exactly_what_segment_says(house: House) -> None:
    answer = house.post("/v1/batch", batch(page()))

    assert (answer.status_code, answer.content) == (200, SUCCESS)
    assert answer.headers["content-type"] == "application/json"


def test_an_empty_batch_succeeds(house: House) -> None:
    assert house.post("/v1/batch", batch()).content == SUCCESS


@pytest.mark.parametrize("name", BATCH_PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_every_path_of_batches_takes_one_as_json_and_as_text(house: House, name: str, slash: str) -> None:
    for content_type in ("application/json", "text/plain", "text/plain;charset=UTF-8"):
        answer = house.post(f"/v1/{name}{slash}", batch(page()), content_type=content_type)
        assert answer.content == SUCCESS
    assert len(house.admitted) == 3


@pytest.mark.parametrize(("name", "call_type"), CALL_PATHS.items())
def test_the_path_of_a_call_says_its_type(house: House, name: str, call_type: str) -> None:
    message = page()
    del message["type"]
    house.post(f"/v1/{name}", message)

    if call_type == "track":
        assert [letter.reason for letter in house.letters] == [Reason.INVALID_ENVELOPE]
        assert "event" in house.letters[0].detail
    else:
        assert [landed["type"] for landed in house.admitted] == [call_type]


@pytest.mark.parametrize(
    ("header", "body_key", "status"),
    [
        (basic(f"{SERVER}:"), None, 200),
        (basic(SERVER), None, 200),
        (basic(f"{SERVER}:ignored"), None, 200),
        (basic(f"{SERVER}:").replace("Basic", "basic"), None, 200),
        (None, SERVER, 200),
        (basic(f"{SERVER}:"), SERVER, 200),
        ("Bearer a-token-of-oauth", SERVER, 200),
        (basic(f"{SERVER}:"), BROWSER, 401),
        (basic(f"{SERVER}:"), "nobody", 401),
        (basic("nobody:"), SERVER, 401),
        (None, None, 401),
        (None, "nobody", 401),
        (None, REVOKED, 401),
        (basic(f"{REVOKED}:"), None, 401),
        (basic(":"), None, 401),
        ("Basic !!!", None, 401),
        ("Basic /w==", None, 401),
        ("Bearer a-token-of-oauth", None, 401),
        (None, f"{SERVER}\n", 401),
    ],
)
@pytest.mark.parametrize("path", ["/v1/batch", "/v1/page"])
def test_who_may_send(house: House, header: str | None, body_key: str | None, status: int, path: str) -> None:
    body: dict[str, Any] = batch(page()) if path == "/v1/batch" else page()
    if body_key is not None:
        body["writeKey"] = body_key
    answer = house.post(path, body, key=None, **({"authorization": header} if header else {}))

    assert answer.status_code == status, answer.text
    assert len(house.spool.given) == (1 if status == 200 else 0)
    if status == 401:
        assert answer.json()["code"] == "unauthorized"
        assert answer.json()["message"]
        assert "WK_" not in answer.text


def test_a_batch_may_name_its_key_in_each_message(house: House) -> None:
    answer = house.post("/v1/b", batch(page("a", writeKey=BROWSER), page("b", writeKey=BROWSER)), key=None)

    assert answer.content == SUCCESS
    assert {landed["source"] for landed in house.admitted} == {"browser"}


def test_a_message_with_the_key_of_another_tenant_is_a_dead_letter_and_its_batch_lands(house: House) -> None:
    answer = house.post("/v1/b", batch(page("a"), page("b", writeKey=OTHER)))

    assert answer.json() == {"success": True, "rejected": [{"messageId": "b", "code": "tenant_mismatch"}]}
    assert [letter.tenant for letter in house.letters] == [TENANT]


def test_a_message_that_names_another_tenant_is_a_dead_letter_of_the_keys_own(house: House) -> None:
    house.post("/v1/batch", batch(page(properties={"tenant_id": "albion-stage"})))

    assert [(letter.tenant, letter.reason) for letter in house.letters] == [(TENANT, Reason.TENANT_MISMATCH)]


BAD = {
    Reason.INVALID_JSON: [
        b'{"type":"page","messageId":"bad","properties":{"a":NaN}}',
        b'{"type":"page","messageId":"bad","a":Infinity}',
        b'{"type":"page","messageId":"bad",}',
        b"{'type':1}",
        b"undefined",
        b'{"type":"page","messageId":"bad","a":01}',
    ],
    Reason.INVALID_ENCODING: [
        b'{"type":"page","messageId":"bad","name":"\\ud800"}',
        b'{"type":"page","messageId":"bad","name":"\xff\xfe"}',
    ],
    Reason.TOO_COMPLEX: [b'{"type":"page","messageId":"bad","properties":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001],
    Reason.INVALID_ENVELOPE: [b"null", b"[]", b'"text"', b"12", b'{"messageId":"bad"}', b'{"type":"page"}'],
    Reason.TOO_LARGE: [b'{"type":"page","messageId":"bad","name":"' + b"a" * 3_000_000 + b'"}'],
}


@pytest.mark.parametrize(("reason", "bad"), [(reason, bad) for reason, many in BAD.items() for bad in many])
def test_one_bad_message_never_fails_its_batch_and_is_kept_verbatim(house: House, reason: Reason, bad: bytes) -> None:
    good = orjson.dumps(page("good", properties={"list": [{"a": "}, {"}, {"b": "] }"}]}))
    answer = house.post("/v1/batch", raw_batch(good, bad, orjson.dumps(page("last"))))

    assert answer.status_code == 200
    assert [each["code"] for each in answer.json()["rejected"]] == [reason]
    assert [landed["message_id"] for landed in house.admitted] == ["good", "last"]
    assert [(letter.reason, letter.raw) for letter in house.letters] == [(reason, bad)]


def test_a_bad_message_is_named_even_when_it_is_no_json(house: House) -> None:
    answer = house.post("/v1/batch", raw_batch(b'{"messageId":"bad","type":"page","a":NaN}'))

    assert answer.json()["rejected"] == [{"messageId": "bad", "code": "invalid_json"}]


def test_a_single_call_that_is_no_json_is_kept_when_its_key_can_be_read(house: House) -> None:
    body = b'{"writeKey":"WK_TEST","messageId":"bad","a":NaN}'
    answer = house.post("/v1/p", body, key=None)

    assert answer.json()["rejected"] == [{"messageId": "bad", "code": "invalid_json"}]
    assert [letter.raw for letter in house.letters] == [body]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"{",
        b"[]",
        b"null",
        b'{"a":1}',
        b'{"batch":{}}',
        b'{"batch":null}',
        b'{"batch":[{"a":1}',
        b'{"batch":[{"a":1]}',
        b'{"batch":[{"a":"1]}',
        b'{"batch":[{} {}]}',
        b'{"batch":[,]}',
        b'{"batch":[]} x',
        b'{"batch":[],"batch":[]}',
        b'{"batch":[],"b\\u0061tch":[]}',
        b'{"batch":[],"context":{"a":NaN}}',
        b'{"batch":[],"sentAt":"\\ud800"}',
        b"\xff\xfe{\x00}\x00",
    ],
)
def test_an_envelope_that_cannot_be_told_apart_is_refused_with_code_and_message(house: House, body: bytes) -> None:
    answer = house.post("/v1/batch", body)

    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_body"
    assert answer.json()["message"]
    assert house.spool.given == []


@pytest.mark.parametrize("body", [b"", b"x", b"[]", b"null", b'{"a":', b'{"a":1}}', b'"text"'])
def test_a_call_that_is_no_whole_object_is_refused(house: House, body: bytes) -> None:
    answer = house.post("/v1/track", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_body")


def test_the_last_of_duplicate_names_counts(house: House) -> None:
    house.post("/v1/batch", raw_batch(b'{"type":"track","type":"page","messageId":"a","messageId":"b"}'))

    assert [landed["message_id"] for landed in house.admitted] == ["b"]


def test_null_ids_are_absent_ids(house: House) -> None:
    house.post("/v1/batch", batch(page(userId=None, anonymousId=None)))

    assert [(landed["user_id"], landed["anonymous_id"]) for landed in house.admitted] == [(None, None)]


def test_a_byte_order_mark_costs_nothing(house: House) -> None:
    assert house.post("/v1/batch", b"\xef\xbb\xbf" + orjson.dumps(batch(page()))).content == SUCCESS


def test_what_the_batch_says_holds_for_each_message_and_its_own_context_wins(house: House) -> None:
    messages = (page("a", context={"locale": "nl"}), page("b"))
    shared = {"locale": "en", "app": {"name": "x"}}
    house.post("/v1/batch", batch(*messages, context=shared, sentAt="2026-11-22T18:15:30Z"))

    first, second = house.admitted
    assert first["context"] == {"locale": "nl", "app": {"name": "x"}}
    assert second["context"] == shared
    assert {landed["sent_at"] for landed in (first, second)} == {"2026-11-22T18:15:30Z"}


def test_a_browsers_clock_is_corrected_by_when_the_batch_was_sent(house: House) -> None:
    messages = batch(page(timestamp="2026-11-22T17:00:00Z"), sentAt="2026-11-22T17:01:00Z")
    house.post("/v1/b", messages, key=BROWSER)
    house.post("/v1/b", messages, key=SERVER)

    browser, server = house.admitted
    assert datetime.fromisoformat(browser["event_at"]) == datetime(2026, 11, 22, 18, 15, tzinfo=UTC)
    assert datetime.fromisoformat(server["event_at"]) == datetime(2026, 11, 22, 17, tzinfo=UTC)


def test_a_dead_letter_says_how_it_came_so_that_a_replay_judges_it_the_same(house: House, own_catalog: Catalog) -> None:
    house.post("/v1/page", b'{"messageId":"m","timestamp":"2026-11-22T17:00:00Z","a":NaN}', key=BROWSER)

    (letter,) = house.letters
    assert (letter.tenant, letter.key_name, letter.key_kind, letter.site) == (TENANT, "browser", "browser", "product")
    assert letter.received_at == NOW
    assert letter.day == date(2026, 11, 22)
    assert letter.shared == {"type": "page"}
    key = WriteKeyContext(TENANT, "browser", "browser", "product")
    mended = letter.raw.replace(b"NaN", b"1")
    assert isinstance(gate_of(own_catalog).admit(mended, received_at=NOW, key=key, shared=letter.shared), Admitted)


def test_wrong_routes_answer_in_json_and_never_redirect(house: House) -> None:
    missing, wrong = house.client.post("/v1/nope"), house.client.get("/v1/batch")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"


@pytest.mark.parametrize("origin", ["https://shop.example", "null"])
def test_a_browser_of_any_site_may_send_and_read_the_answer(house: House, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST"}
    asked["access-control-request-headers"] = "authorization,content-type,x-retry-count"
    preflight = house.client.options("/v1/t", headers=asked)
    answer = house.post("/v1/p", page(), origin=origin)

    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
    for each in (preflight, answer):
        assert each.headers["access-control-allow-origin"] == origin
        assert each.headers["access-control-allow-credentials"] == "true"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


def test_a_beacon_needs_no_preflight(house: House) -> None:
    answer = house.post(
        "/v1/b",
        batch(page(), writeKey=BROWSER),
        key=None,
        origin="https://shop.example",
        content_type="text/plain;charset=UTF-8",
    )

    assert answer.content == SUCCESS


def test_a_spool_that_cannot_promise_anything_answers_503_with_a_time_to_come_again(house: House) -> None:
    house.spool.fault = SpoolUnavailableError("the disk is full", retry_after_seconds=7)
    answer = house.post("/v1/batch", batch(page()))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json()["code"] == "unavailable"
    house.spool.fault = None
    assert house.post("/v1/batch", batch(page())).status_code == 200


def test_health_says_that_the_process_lives_and_readiness_what_the_spool_says(house: House) -> None:
    assert house.client.get("/healthz").json() == {"status": "ok"}
    assert house.client.get("/readyz").json() == {"status": "ready"}
    house.spool.close()

    answer = house.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["message"] == "the collector is shutting down"


def test_the_metrics_count_what_was_taken_in_and_name_no_tenant(house: House) -> None:
    house.post("/v1/batch", raw_batch(orjson.dumps(page()), b'{"a":NaN}'))
    house.post("/v1/batch", b"x")

    told = house.client.get("/metrics").text
    assert "analytics_collector_events_accepted_total 1.0" in told
    assert 'analytics_collector_events_dead_lettered_total{reason="invalid_json"} 1.0' in told
    assert "analytics_collector_events_acknowledged_total 2.0" in told
    assert 'analytics_collector_requests_refused_total{code="invalid_body"} 1.0' in told
    assert TENANT not in told


def test_an_id_of_a_proxy_is_kept_and_anything_else_is_replaced(house: House) -> None:
    kept = house.post("/v1/batch", batch(), x_request_id="proxy-1")
    made = house.post("/v1/batch", batch(), x_request_id="a b")

    assert kept.headers["x-request-id"] == "proxy-1"
    assert made.headers["x-request-id"] not in ("", "a b")
