from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_messages import MOMENT, OTHER_TENANT, TENANT, flow_step, scan
from known_keys import gate_of

from analytics_platform.catalog import Catalog
from analytics_platform.intake.envelope import MAX_DEPTH, MAX_EVENT_BYTES, MAX_PROPERTIES
from analytics_platform.intake.gate import Gate, UnknownTenantError
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected, WriteKeyContext
from analytics_platform.lake.schema import LANDING_COLUMNS

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
IDENTIFY = {"type": "identify", "messageId": "m", "timestamp": MOMENT}
ENVELOPE = (*scan(), "sentAt", "originalTimestamp", "writeKey", "traits")


@pytest.fixture(scope="module")
def gate(catalog: Catalog) -> Gate:
    return gate_of(catalog)


def judge(gate: Gate, message: dict[str, Any] | bytes, **options: Any) -> Admitted | Rejected:
    raw = message if isinstance(message, bytes) else orjson.dumps(message)
    return gate.admit(raw, **{"received_at": NOW} | options)


def landed(outcome: Admitted | Rejected) -> dict[str, Any]:
    assert isinstance(outcome, Admitted), outcome
    line: dict[str, Any] = orjson.loads(outcome.line)
    return line


def refused(outcome: Admitted | Rejected) -> Rejected:
    assert isinstance(outcome, Rejected), outcome
    assert outcome.detail
    return outcome


def nested(levels: int) -> Any:
    """An object of so many levels."""
    return json.loads('{"a":' * levels + "1" + "}" * levels)


def test_what_the_request_says_for_all_counts_with_each_messages_own_bytes(gate: Gate) -> None:
    raw = orjson.dumps(IDENTIFY | {"properties": {"tenant_id": TENANT}})
    shared = {"context": {"a": ""}}
    room = MAX_EVENT_BYTES - len(raw) - len(orjson.dumps(shared))

    landed(judge(gate, raw, shared={"context": {"a": "x" * room}}))
    beyond = refused(judge(gate, raw, shared={"context": {"a": "x" * (room + 1)}}))
    assert beyond.reason is Reason.TOO_LARGE
    assert f"{MAX_EVENT_BYTES + 1:,} bytes" in beyond.detail
    assert (beyond.tenant, beyond.stream) == (TENANT, "product")


def test_the_moment_of_sending_takes_no_room_from_a_message(gate: Gate) -> None:
    whole = orjson.dumps(IDENTIFY | {"properties": {"tenant_id": TENANT}}).ljust(MAX_EVENT_BYTES)

    landed(judge(gate, whole, shared={"sentAt": "2026-02-01T11:59:59.123456Z", "type": "identify"}))


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, 400, 900])
@pytest.mark.parametrize("name", ["context", "integrations"])
def test_what_the_request_says_for_all_nests_no_deeper_than_a_message_may(gate: Gate, name: str, levels: int) -> None:
    message = IDENTIFY | {"properties": {"tenant_id": TENANT}, "context": {"own": 1}}
    outcome = judge(gate, message, shared={name: nested(levels)})

    if levels < MAX_DEPTH:
        landed(outcome)
    else:
        assert refused(outcome).reason is Reason.TOO_COMPLEX
        assert f"{levels + 1} levels" in refused(outcome).detail


@pytest.mark.parametrize("own", [1, 100])
def test_what_the_request_says_for_all_has_no_more_properties_than_a_message_may(gate: Gate, own: int) -> None:
    def judged(count: int) -> Admitted | Rejected:
        message = IDENTIFY | {"properties": {"tenant_id": TENANT}, "context": {f"own{n}": n for n in range(own)}}
        return judge(gate, message, shared={"context": {f"k{n}": n for n in range(count)}})

    room = MAX_PROPERTIES - len(IDENTIFY) - len(("properties", "tenant_id", "context")) - own
    landed(judged(room))
    assert refused(judged(room + 1)).reason is Reason.TOO_COMPLEX


def test_an_admitted_message_is_a_landing_line_with_every_column_in_order(gate: Gate) -> None:
    line = landed(judge(gate, scan()))

    assert list(line) == list(LANDING_COLUMNS)
    assert (line["day"], line["tenant_id"], line["stream"]) == ("2026-01-15", TENANT, "inventory")
    assert line["occurred_at"] == "2026-01-15T09:30:00.250000Z"
    assert line["extra"] == {"integrations": {}}
    assert line["source"] == "import"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"type":', Reason.INVALID_JSON),
        (b'{"type": NaN}', Reason.INVALID_JSON),
        (b"\xff\xfe{", Reason.INVALID_ENCODING),
        (b'{"messageId":"\\ud800"}', Reason.INVALID_ENCODING),
        (b'{"messageId":"\\udc00x"}', Reason.INVALID_ENCODING),
        (b"[1]", Reason.INVALID_ENVELOPE),
        (b"[" * 10_000, Reason.TOO_COMPLEX),
        (b"x" * 2_000_000, Reason.TOO_LARGE),
        (b'{"batch":[]}', Reason.INVALID_ENVELOPE),
        (b'{"type":"track"}', Reason.INVALID_ENVELOPE),
        (b'{"type":"TRACK","messageId":"m"}', Reason.INVALID_ENVELOPE),
    ],
)
def test_what_is_no_message_is_refused_with_its_reason(gate: Gate, raw: bytes, reason: Reason) -> None:
    assert refused(judge(gate, raw)).reason is reason


@pytest.mark.parametrize(
    ("changes", "reason", "named"),
    [
        ({"messageId": ...}, Reason.INVALID_ENVELOPE, "messageId"),
        ({"messageId": 7}, Reason.INVALID_ENVELOPE, "messageId"),
        ({"messageId": "a\u0000b"}, Reason.INVALID_ENVELOPE, "messageId"),
        ({"messageId": "x" * 257}, Reason.INVALID_ENVELOPE, "messageId"),
        ({"userId": {"a": 1}}, Reason.INVALID_ENVELOPE, "userId"),
        ({"context": []}, Reason.INVALID_ENVELOPE, "context"),
        ({"traits": "x"}, Reason.INVALID_ENVELOPE, "traits"),
        ({"timestamp": "2026-01-15 09:30"}, Reason.INVALID_ENVELOPE, "timestamp"),
        ({"timestamp": 1768435200}, Reason.INVALID_ENVELOPE, "timestamp"),
        ({"sentAt": "yesterday"}, Reason.INVALID_ENVELOPE, "sentAt"),
        ({"timestamp": ..., "receivedAt": ...}, Reason.INVALID_ENVELOPE, "timestamp"),
        ({"event": ...}, Reason.INVALID_ENVELOPE, "event"),
        ({"event": "scan.complete"}, Reason.UNKNOWN_EVENT, "scan.completed"),
        (
            {"context": {"deep": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}},
            Reason.TOO_COMPLEX,
            "deep",
        ),
        ({"context": {str(n): n for n in range(1_001)}}, Reason.TOO_COMPLEX, "properties"),
        ({"context": {"blob": "x" * 33_000}}, Reason.TOO_LARGE, "bytes"),
        ({"timestamp": "2026-02-01T12:06:00Z"}, Reason.TIME_SUSPECT, "timestamp"),
        ({"receivedAt": "2026-02-01T12:06:00Z"}, Reason.TIME_SUSPECT, "receivedAt"),
        ({"timestamp": "2021-12-31T22:59:59Z"}, Reason.TIME_SUSPECT, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00Z"}, Reason.TIME_SUSPECT, "timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+12:00"}, Reason.INVALID_ENVELOPE, "timestamp"),
    ],
)
def test_a_refusal_names_the_field(gate: Gate, changes: dict[str, Any], reason: Reason, named: str) -> None:
    outcome = refused(judge(gate, scan(**changes)))

    assert outcome.reason is reason
    assert named in outcome.detail


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"status_seq": "7"}, "properties.status_seq"),
        ({"status_seq": None}, "null is not allowed"),
        ({"booking_id": None}, "properties.booking_id: null is not allowed"),
        ({"to_status": "vanished"}, "properties.to_status"),
        ({"scanned_at": "2026-01-15"}, "properties.scanned_at"),
        ({"equipment_id": "eq 1\n"}, "properties.equipment_id"),
        ({"surprise": 1}, "surprise"),
        ({"scan_id": ...}, "scan_id"),
        ({"schema_version": 99}, "properties.schema_version"),
    ],
)
def test_the_plan_is_kept(gate: Gate, changes: dict[str, Any], named: str) -> None:
    outcome = refused(judge(gate, scan(properties=changes)))

    assert outcome.reason is Reason.SCHEMA_VIOLATION
    assert named in outcome.detail
    assert (outcome.tenant, outcome.day, outcome.stream) == (TENANT, date(2026, 1, 15), "inventory")


def test_a_refusal_never_repeats_a_value(gate: Gate) -> None:
    secret = "jan@example.test"
    outcome = refused(judge(gate, scan(properties={"to_status": secret, "operator_ref": secret, "scanned_at": secret})))

    assert secret not in outcome.detail


def test_of_doubled_keys_the_last_counts_everywhere(gate: Gate) -> None:
    raw = orjson.dumps(scan()).replace(b'"messageId":"m-1"', b'"messageId":"first","messageId":"last"')

    assert landed(judge(gate, raw))["message_id"] == "last"


class TestTenant:
    def test_an_operator_names_it(self, catalog: Catalog) -> None:
        gate = gate_of(catalog, tenant=OTHER_TENANT)
        assert landed(judge(gate, IDENTIFY))["tenant_id"] == OTHER_TENANT

    def test_an_unregistered_one_is_refused_at_once(self, catalog: Catalog) -> None:
        with pytest.raises(UnknownTenantError, match=f"known tenants: {OTHER_TENANT}"):
            gate_of(catalog, tenant="nobody")

    def test_a_write_key_tells_it_and_its_site_the_stream(self, gate: Gate) -> None:
        page = {"type": "page", "messageId": "m", "timestamp": MOMENT, "writeKey": f"demo-{OTHER_TENANT}-marketing"}
        line = landed(judge(gate, page))

        assert (line["tenant_id"], line["stream"], line["source"]) == (OTHER_TENANT, "marketing", "marketing")
        assert "demo-" not in orjson.dumps(line).decode()

    @pytest.mark.parametrize("stated", [..., "nobody", f"{TENANT}\n", 7])
    def test_it_must_be_registered(self, gate: Gate, stated: object) -> None:
        assert refused(judge(gate, scan(properties={"tenant_id": stated}))).reason is Reason.UNKNOWN_TENANT

    @pytest.mark.parametrize(
        "message",
        [
            scan(writeKey=f"demo-{OTHER_TENANT}-server"),
            {
                "type": "page",
                "messageId": "m",
                "timestamp": MOMENT,
                "writeKey": f"demo-{OTHER_TENANT}-browser",
                "properties": {"tenant_id": TENANT},
            },
        ],
    )
    def test_two_tenants_in_one_message_are_refused(self, gate: Gate, message: dict[str, Any]) -> None:
        assert refused(judge(gate, message)).reason is Reason.TENANT_MISMATCH

    def test_the_operator_does_not_overrule_the_message(self, catalog: Catalog) -> None:
        gate = gate_of(catalog, tenant=OTHER_TENANT)
        assert refused(judge(gate, scan())).reason is Reason.TENANT_MISMATCH
        keyed = {"type": "page", "messageId": "m", "timestamp": MOMENT, "writeKey": f"demo-{TENANT}-server"}
        assert refused(judge(gate, keyed)).reason is Reason.TENANT_MISMATCH

    def test_over_http_only_the_write_key_counts(self, gate: Gate) -> None:
        key = WriteKeyContext(OTHER_TENANT, "server", "server", "product")
        message = flow_step("m", "2026-02-01T11:00:00Z")
        assert refused(judge(gate, message, key=key)).reason is Reason.TENANT_MISMATCH


class TestClock:
    def test_a_day_is_the_tenants_own(self, gate: Gate) -> None:
        late = "2026-01-15T23:30:00Z"
        assert landed(judge(gate, flow_step("m", late)))["day"] == "2026-01-16"
        assert landed(judge(gate, flow_step("m", late, OTHER_TENANT)))["day"] == "2026-01-15"

    def test_days_follow_summer_time(self, gate: Gate) -> None:
        assert landed(judge(gate, flow_step("m", "2025-06-30T22:10:00Z")))["day"] == "2025-07-01"
        assert landed(judge(gate, flow_step("m", "2025-06-30T21:59:59.999999Z")))["day"] == "2025-06-30"

    def test_a_browsers_clock_is_corrected_and_all_four_times_are_kept(self, gate: Gate) -> None:
        key = WriteKeyContext(TENANT, "browser", "browser", "product")
        message = flow_step("m", "2026-02-01T09:00:00Z", sentAt="2026-02-01T09:00:10Z")
        line = landed(judge(gate, message, key=key))

        assert line["event_at"] == line["occurred_at"] == "2026-02-01T11:59:50Z"
        assert line["original_timestamp"] == "2026-02-01T09:00:00Z"
        assert line["sent_at"] == "2026-02-01T09:00:10Z"
        assert line["received_at"] == "2026-02-01T12:00:00Z"

    @pytest.mark.parametrize("kind", ["server", "scanner"])
    def test_a_servers_clock_is_trusted(self, gate: Gate, kind: Any) -> None:
        key = WriteKeyContext(TENANT, "key", kind, "product")
        message = flow_step("m", "2026-02-01T09:00:00Z", sentAt="2026-02-01T09:00:10Z")
        assert landed(judge(gate, message, key=key))["event_at"] == "2026-02-01T09:00:00Z"

    def test_an_archived_message_is_not_corrected_twice(self, gate: Gate) -> None:
        message = flow_step(
            "m",
            "2026-01-15T09:30:00Z",
            originalTimestamp="2026-01-15T06:30:00Z",
            sentAt="2026-01-15T06:30:05Z",
            receivedAt="2026-01-15T09:30:05Z",
            writeKey=f"demo-{TENANT}-browser",
        )
        line = landed(judge(gate, message))
        assert line["event_at"] == "2026-01-15T09:30:00Z"
        assert line["original_timestamp"] == "2026-01-15T06:30:00Z"

    @pytest.mark.parametrize(
        ("age", "kind", "fits"), [(29, "server", True), (31, "server", False), (31, "import", True)]
    )
    def test_over_http_only_import_keys_bring_old_messages(self, gate: Gate, age: int, kind: Any, fits: bool) -> None:
        key = WriteKeyContext(TENANT, "key", kind, "product")
        message = flow_step("m", (NOW - timedelta(days=age)).isoformat())
        assert isinstance(judge(gate, message, key=key), Admitted) is fits

    def test_history_begins_with_the_tenants_first_day(self, gate: Gate) -> None:
        assert isinstance(judge(gate, flow_step("m", "2021-12-31T23:00:00Z")), Admitted)
        assert isinstance(judge(gate, flow_step("m", "2021-12-31T23:00:00Z", OTHER_TENANT)), Rejected)

    def test_an_import_never_asks_the_clock_when_a_message_was_received(self, gate: Gate) -> None:
        message = flow_step("m", "2026-01-15T09:30:00Z")
        first, second = judge(gate, message), judge(gate, message, received_at=NOW + timedelta(days=1))
        assert landed(first) == landed(second)
        assert landed(first)["received_at"] == "2026-01-15T09:30:00Z"


class TestPayload:
    def test_a_retry_is_the_same_payload(self, gate: Gate) -> None:
        once = judge(gate, scan(sentAt="2026-01-15T09:30:01Z", _metadata={"retryCount": 0}))
        again = judge(
            gate, scan(sentAt="2026-01-15T09:31:00Z", receivedAt="2026-01-15T09:31:00Z", _metadata={"retryCount": 1})
        )
        assert isinstance(once, Admitted)
        assert isinstance(again, Admitted)
        assert once.payload_hash == again.payload_hash

    @pytest.mark.parametrize(
        "change", [{"userId": "user-2"}, {"properties": {"status_seq": 8}}, {"timestamp": "2026-01-15T09:30:00.251Z"}]
    )
    def test_another_word_is_another_payload(self, gate: Gate, change: dict[str, Any]) -> None:
        once, other = judge(gate, scan()), judge(gate, scan(**change))
        assert isinstance(once, Admitted)
        assert isinstance(other, Admitted)
        assert once.payload_hash != other.payload_hash


@pytest.mark.parametrize("kind", ["page", "screen", "identify", "group", "alias"])
def test_segments_own_calls_need_no_entry_in_the_plan(gate: Gate, kind: str) -> None:
    call = {"type": kind, "messageId": "m", "timestamp": MOMENT, "anonymousId": None, "name": "Home", "groupId": "g"}
    line = landed(judge(gate, call | {"properties": {"tenant_id": TENANT, "x": None}, "traits": {"plan": "gold"}}))

    assert (line["event"], line["stream"], line["traits"]) == (None, "product", {"plan": "gold"})
    assert line["extra"] == {"name": "Home", "groupId": "g"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(changes=st.dictionaries(st.sampled_from(ENVELOPE), json_values))
def test_whatever_the_envelope_holds_the_gate_answers(gate: Gate, changes: dict[str, Any]) -> None:
    outcome = gate.admit(json.dumps(scan() | changes).encode(), received_at=NOW)
    assert isinstance(outcome, Admitted | Rejected)


@given(raw=st.binary(max_size=200))
def test_whatever_the_bytes_are_the_gate_answers(gate: Gate, raw: bytes) -> None:
    assert isinstance(gate.admit(raw, received_at=NOW), Rejected)


def test_a_day_that_retention_has_removed_takes_nothing_in_any_more(catalog: Catalog) -> None:
    day = date(2026, 1, 15)
    gate = gate_of(catalog, removed=lambda stream, tenant, of: (stream, tenant, of) == ("inventory", TENANT, day))
    outcome = refused(judge(gate, scan()))
    assert (outcome.reason, outcome.tenant, outcome.day) == (Reason.PAST_RETENTION, TENANT, day)
    assert isinstance(judge(gate, flow_step("m-2", MOMENT)), Admitted)
    assert isinstance(judge(gate_of(catalog), scan()), Admitted)
