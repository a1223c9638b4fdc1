"""The way in under whatever bytes: the gate answers and keeps the plan, readers lose no line, accounts add up.

The gate is judged by the producers' models, which are generated from the same plan and share no code with it.
"""

from __future__ import annotations

import copy
import gzip
import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hostile_strings import HOSTILE
from hypothesis import example, given
from hypothesis import strategies as st
from known_keys import KEYS, gate_of

from analytics_platform.catalog import Catalog
from analytics_platform.intake.collector.refusals import RequestRefusedError
from analytics_platform.intake.collector.requests import read_batch
from analytics_platform.intake.envelope import MAX_EVENT_BYTES
from analytics_platform.intake.gate import MAX_AHEAD, MAX_BEHIND, MAX_LANDED_BYTES, Gate
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Admitted, Rejected, WriteKeyContext
from analytics_platform.intake.reader import KEPT_BYTES, Line, Reading, find_sources, read_lines
from analytics_platform.lake import layout
from analytics_platform.lake.schema import LANDING_COLUMNS
from analytics_platform.lake.store import LocalStore, UnsafeKeyError
from analytics_platform.tracking.models import EVENT_MODELS

NOW = datetime(2026, 11, 22, 18, 16, tzinfo=UTC)
TENANT = "brabant-rental"
KEY = WriteKeyContext(TENANT, "server", "server", "product")
CAPTURES = sorted((Path(__file__).parents[1] / "fixtures" / "captures").glob("*.json"))
SECONDS_OF_A_MESSAGE = 0.5
"""Of CPU, whatever it is; an ordinary one takes a ten-thousandth of that."""


def sent_by_clients() -> list[dict[str, Any]]:
    """One message of each shape that real clients have sent, and one of an event of the plan."""
    bodies = [request["body"] for path in CAPTURES for request in json.loads(path.read_text())["requests"]]
    messages = [message for body in bodies for message in body.get("batch", [body])]
    shapes = {(str(sorted(each)), each["type"], str(sorted(each.get("context", {})))): each for each in messages}
    properties = {"schema_version": 1, "tenant_id": TENANT, "flow": "a", "step": "b", "outcome": "completed"}
    planned = {"type": "track", "event": "ui.flow_step", "messageId": "m", "timestamp": "2026-11-22T18:15:00Z"}
    return [*shapes.values(), planned | {"properties": properties | {"flow_run_id": "r"}}]


SENT = sent_by_clients()

values = st.one_of(
    st.sampled_from(list(HOSTILE.values())),
    st.sampled_from([None, True, 0, -1, 2**63, 2**64, 10**40, 1e308, -0.0, "", [], {}, [[]], {"": {}}, "2026-02-30"]),
    st.sampled_from(["9999-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00+23:59", "2026-11-22T18:15:00.1234567Z"]),
    st.integers(1, 300).map(lambda n: json.loads("[" * n + "]" * n)),
    st.integers(1, 3_000).map(lambda n: "é" * n),
    st.text(max_size=20),
    st.datetimes().map(lambda moment: moment.isoformat() + "Z"),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in below for place in places(child, (*path, key)))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A client's message with some of it changed, as an object and then as bytes."""
    message: Any = copy.deepcopy(draw(st.sampled_from(SENT)))
    for _ in range(draw(st.integers(0, 3))):
        *above, last = draw(st.sampled_from([place for place in places(message) if place]))
        holder = message
        for step in above:
            holder = holder[step]
        change = draw(st.sampled_from(["put", "drop", "rename", "add"]))
        value = copy.deepcopy(draw(values))
        if change == "put" or isinstance(holder, list):
            holder[last] = value
        elif change == "add":
            holder[draw(st.sampled_from(list(HOSTILE.values())))] = value
        else:
            kept = holder.pop(last)
            if change == "rename":
                holder[draw(st.text(max_size=5))] = kept
    raw = json.dumps(message, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    return draw(st.sampled_from(BYTES))(raw) if draw(st.integers(0, 4)) == 0 else raw


BYTES: list[Callable[[bytes], bytes]] = [
    lambda raw: raw[: len(raw) * 2 // 3],
    lambda raw: raw + raw,
    lambda raw: b"\xef\xbb\xbf" + raw,
    lambda raw: raw.replace(b": ", b": \x00", 1),
    lambda raw: raw.replace(b'"', b"'"),
    lambda raw: raw.replace(b"1", b"NaN", 1),
    lambda raw: raw.replace(b"1", b"1" * 5_000, 1),
    lambda raw: raw.replace(b"1", b"-Infinity", 1),
    lambda raw: raw.replace(b"e", b"\xed\xa0\x80", 1),
    lambda raw: raw.replace(b"e", b"\\ud800", 1),
    lambda raw: raw.replace(b"e", b"\\u0000", 1),
    lambda raw: raw.replace(b"{", b'{"type": "page", ', 1),
    lambda raw: raw.replace(b"}", b', "tenant_id": "albion-stage"}'),
    lambda raw: raw.replace(b", ", b",\r\n"),
    lambda raw: raw.decode("utf-8", "replace").encode("utf-16"),
    lambda raw: b"[" + raw + b"]",
]


@pytest.fixture(scope="module")
def gate(catalog: Catalog) -> Gate:
    return gate_of(catalog)


@given(raw=mutated(), over_http=st.booleans())
def test_the_gate_answers_alike_and_admits_what_the_plan_allows_alone(
    gate: Gate, catalog: Catalog, raw: bytes, over_http: bool
) -> None:
    key = KEY if over_http else None
    started = time.process_time()
    outcome = gate.admit(raw, received_at=NOW, key=key)
    assert time.process_time() - started < SECONDS_OF_A_MESSAGE
    assert gate.admit(raw, received_at=NOW, key=key) == outcome
    if isinstance(outcome, Rejected):
        assert outcome.detail
        assert outcome.tenant in (None, TENANT, *catalog.tenants)
        return
    line = orjson.loads(outcome.line)
    assert outcome.line.endswith(b"\n")
    assert outcome.line.count(b"\n") == 1
    assert len(outcome.line) <= MAX_LANDED_BYTES
    assert list(line) == list(LANDING_COLUMNS)
    assert line["tenant_id"] == outcome.tenant
    assert outcome.tenant == TENANT or not over_http
    _assert_allowed(catalog, raw, outcome, over_http=over_http)


def _assert_allowed(catalog: Catalog, raw: bytes, outcome: Admitted, *, over_http: bool) -> None:
    message = json.loads(raw)
    line = orjson.loads(outcome.line)
    assert len(raw) <= 32 * 1024
    stated = (message.get("properties") or {}).get("tenant_id")
    assert stated in (None, outcome.tenant)
    event_at = datetime.fromisoformat(line["event_at"])
    assert event_at <= NOW + MAX_AHEAD
    assert event_at >= NOW - MAX_BEHIND or not over_http
    assert abs(outcome.day - event_at.date()) <= timedelta(days=1)
    if message["type"] == "track":
        event = catalog.events[message["event"]]
        EVENT_MODELS[event.name].model_validate_json(json.dumps(message["properties"]))
        assert outcome.stream == event.stream
    else:
        assert outcome.stream in ("product", "marketing")


@given(said=st.dictionaries(st.sampled_from(["context", "integrations", "sentAt"]), values, min_size=1))
def test_whatever_a_request_says_for_all_its_messages_the_gate_answers_and_letters_are_bounded(
    gate: Gate, said: dict[str, Any]
) -> None:
    body = json.dumps({"batch": [SENT[-1]], **said}).encode()
    try:
        found = read_batch(body, max_messages=1)
    except RequestRefusedError:  # no JSON, such as a lone surrogate
        return
    outcome = gate.admit(found.messages[0], received_at=NOW, key=KEY, shared=found.shared)
    assert len(orjson.dumps(found.shared.kept)) <= MAX_EVENT_BYTES + 1_000
    assert found.shared.is_whole or isinstance(outcome, Rejected)


PACKED_STARTS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd", *(b"%c\x2a\x4d\x18" % byte for byte in range(0x50, 0x60)))


@given(lines=st.lists(mutated() | st.binary(max_size=50), min_size=1, max_size=12))
@example(lines=[b"\x1f\x8b", b"no gzip"])
def test_an_imports_account_adds_up_and_keeps_tenants_apart(
    catalog: Catalog, tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("import")
    (folder / "a.ndjson").write_bytes(b"\n".join(lines))
    store = LocalStore(folder / "lake")
    report = import_paths([folder / "a.ndjson"], catalog=catalog, store=store, identities=KEYS, now=NOW)
    if lines[0].startswith(PACKED_STARTS):  # it is read as what it begins as
        assert "damaged or cut off" in report.warnings[0]
        return
    assert not report.warnings
    read = [line for line in b"\n".join(lines).removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert report.read == len(read) == report.accepted + report.duplicates + report.dead_lettered
    assert report.dead_lettered == sum(report.reasons.values())
    for info in store.list("landing/"):
        tenant = layout.placed(info.key).tenant
        landed = zstandard.ZstdDecompressor().stream_reader(store.get(info.key)).read().splitlines()
        assert {orjson.loads(line)["tenant_id"] for line in landed} == {tenant}


# -- Readers.

WHOLE = [b'{"n":%d,"noise":"%s"}' % (n, b"%x" % (n * 2_654_435_761 % 2**64) * 3) for n in range(400)]
PACKED = [
    gzip.compress(b"\n".join(WHOLE)),
    zstandard.ZstdCompressor(write_checksum=True).compress(b"\n".join(WHOLE)),
]


def read(path: Path) -> tuple[list[Line], Reading]:
    reading = Reading(find_sources([path])[0])
    return list(read_lines(reading)), reading


@given(packed=st.sampled_from(PACKED), data=st.data())
def test_a_damaged_file_gives_what_stands_before_the_damage_and_says_so(
    tmp_path_factory: pytest.TempPathFactory, packed: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(4, len(packed) - 1))
    cut, noise = data.draw(st.booleans()), data.draw(st.binary(min_size=1, max_size=4))
    path = tmp_path_factory.getbasetemp() / "damaged"
    spoilt = packed[:at] if cut else packed[:at] + noise + packed[at + len(noise) :]
    path.write_bytes(spoilt)
    found, reading = read(path)
    same = sum(1 for line, whole in zip(found, WHOLE, strict=False) if line.raw == whole)
    if cut:
        assert reading.damage is not None
        assert same >= len(found) - 1
    elif spoilt != packed and reading.damage is None:  # in a field that only informs, such as gzip's time
        assert same == len(WHOLE)


@pytest.mark.parametrize(
    "bomb",
    [
        pytest.param(lambda: zstandard.compress(b"\0" * 100_000_000), id="zeros"),
        pytest.param(lambda: zstandard.compress(b"\n" * 500_000), id="line_ends"),
        pytest.param(lambda: zstandard.compress(b'{"a":' * 2_000_000), id="nesting"),
        pytest.param(lambda: gzip.compress(gzip.compress(b"\0" * 100_000_000)), id="packed_twice"),
        pytest.param(lambda: b"".join(gzip.compress(b"{}\n") for _ in range(2_000)), id="many_members"),
        pytest.param(
            lambda: (
                zstandard.ZstdCompressor(
                    compression_params=zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
                )
                .compressobj()
                .compress(b"a" * 1_000)
                + b"a" * 100
            ),
            id="a_window_of_a_gigabyte",
        ),
    ],
)
def test_a_bomb_stays_within_memory_and_time(tmp_path: Path, bomb: Callable[[], bytes]) -> None:
    (tmp_path / "bomb").write_bytes(bomb())
    tracemalloc.start()
    started = time.process_time()
    reading = Reading(find_sources([tmp_path / "bomb"])[0])
    for _ in read_lines(reading):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - started < 20
    assert peak < 6 * KEPT_BYTES


# -- Keys.

KEY_BUILDERS: dict[str, Callable[[str], str]] = {
    "landing tenant": lambda text: layout.landing_key(NOW.date(), text, NOW, "import", "0" * 16),
    "landing writer": lambda text: layout.landing_key(NOW.date(), TENANT, NOW, text, "0" * 16),
    "landing prefix": lambda text: layout.landing_prefix(NOW.date(), text),
    "dead reason": lambda text: layout.dead_letter_key(text, NOW.date(), TENANT, "import", "0" * 16),
    "dead tenant": lambda text: layout.dead_letter_key("too_large", NOW.date(), text, "import", "0" * 16),
    "dead prefix": layout.dead_letter_prefix,
    "conflicts": lambda text: layout.conflicts_key(text, NOW.date(), TENANT),
    "raw stream": lambda text: layout.raw_key(text, NOW.date(), TENANT),
    "raw tenant": lambda text: layout.raw_key("crm", NOW.date(), text),
    "manifest": lambda text: layout.manifest_key(NOW.date(), NOW.date(), text, "0" * 16),
    "review": lambda text: layout.review_key(text, "html"),
    "review form": lambda text: layout.review_key("2026Q3", text),
    "signed": lambda text: layout.signed_content_key("2026Q3", text),
    "expectations": lambda text: layout.expectations_key(text, NOW.date(), NOW.date(), NOW),
    "dashboard": layout.extract_prefix,
    "extract": lambda text: layout.extract_csv_address("finance", text),
    "extract digest": lambda text: layout.extract_key("finance", "mrr", NOW.date(), text),
    "weekly audience": lambda text: layout.weekly_report_key(NOW.date() - timedelta(days=NOW.weekday()), text, "pdf"),
    "removal": layout.removal_key,
    "suppression": lambda text: layout.suppression_key(TENANT, text),
    "suppressed tenant": lambda text: layout.suppression_key(text, "r-1"),
    "identities": lambda text: layout.identities_key("crm", NOW.date(), text),
    "identities stream": lambda text: layout.identities_key(text, NOW.date(), TENANT),
    "governance": lambda text: layout.governance_key("plans", text),
    "governance kind": lambda text: layout.governance_key(text, "x"),
    "probe": layout.probe_key,
}

names = st.one_of(
    st.sampled_from(
        [*HOSTILE.values(), "..", ".", "", "/", "a/b", "a//b", "a/../b", "t\n", "\nt", "t ", "T", "é", "ß"]
    ),
    st.text(max_size=90),
    st.from_regex(r"[a-z0-9_./=-]{1,90}", fullmatch=True),
)


@pytest.mark.parametrize("what", KEY_BUILDERS)
@given(text=names, other=names)
def test_a_text_makes_a_key_of_its_own_within_its_prefix_or_none(what: str, text: str, other: str) -> None:
    made = [_key(KEY_BUILDERS[what], each) for each in (text, other)]
    for key, said in zip(made, (text, other), strict=True):
        if key is not None:
            parts = key.removesuffix("/").split("/")
            assert not {"", ".", ".."} & set(parts)
            assert key.isascii()
            assert key.isprintable()
            assert not set(key) & set(" \\%*?:#~'\"<>|")
            assert "/" not in said
    if text != other and None not in made:
        assert made[0] != made[1]


def _key(build: Callable[[str], str], text: str) -> str | None:
    try:
        return build(text)
    except UnsafeKeyError:
        return None


tenants = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,62}", fullmatch=True)


@given(
    day=st.dates(NOW.date() - timedelta(days=9_999)),
    tenant=tenants,
    stream=st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True),
)
def test_what_a_key_was_made_of_is_read_back_from_it(day: date, tenant: str, stream: str) -> None:
    hour = NOW.replace(minute=0)
    place = layout.placed(layout.raw_key(stream, day, tenant))
    assert (place.day, place.tenant, place.name) == (day, tenant, "events.parquet")
    assert layout.identities_placed(layout.identities_key(stream, day, tenant)) == (tenant, day)
    place = layout.placed(layout.landing_key(day, tenant, hour, "collector1a", "0" * 16))
    assert (place.day, place.tenant) == (day, tenant)
    found = layout.collected(place.name.partition(".")[0])
    assert found == layout.Collected(hour, "collector1a")
