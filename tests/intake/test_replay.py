"""Replay of dead letters: one effect however often it is run or cut short, and an account that holds all the while."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_messages import OTHER_TENANT, TENANT, flow_step, scan, write
from known_keys import KEYS, SEALS, gate_of

from analytics_platform.catalog import Catalog
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Rejected, WriteKeyContext
from analytics_platform.intake.replay import Found, ReplayReport, Selection, dead_letters, replay
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.dead_letters import DeadLetter, compressed, lines_of
from analytics_platform.lake.layout import dead_letter_key, digest
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.manifest import Counts, Manifest, WrittenObject, write_manifest
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.raw import scan as scan_raw
from analytics_platform.lake.replays import ReplayLog, ReplayUnderWayError
from analytics_platform.lake.store import LocalStore

NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
FIRST, LAST = date(2022, 1, 1), date(2026, 12, 31)
DAY = date(2026, 1, 15)
ALL = Selection()
STREAMS = ("billing", "inventory", "transport", "marketing", "crm", "support", "product")


class CrashError(Exception):
    """The process died."""


class CrashingStore(LocalStore):
    """Dies before the n-th thing that it would change."""

    def __init__(self, root: Path, changes: int) -> None:
        super().__init__(root)
        self.changes = changes

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        if self.changes == 0:
            raise CrashError
        self.changes -= 1
        super().put(key, data, if_none_match=if_none_match)


@pytest.fixture(scope="session")
def before(without_scans: Catalog) -> Catalog:
    """The catalogue before the mend."""
    return without_scans


def imported(store: LocalStore, catalog: Catalog, *messages: dict[str, Any], name: str = "a.ndjson") -> None:
    with TemporaryDirectory() as folder:
        path = write(Path(folder) / name, *messages)
        import_paths([path], catalog=catalog, store=store, identities=KEYS, now=NOW)


def imported_with_another_file(store: LocalStore, catalog: Catalog) -> None:
    """The file of `imported(store, catalog, scan("m-1"))`, in a call that says more and so has another manifest."""
    with TemporaryDirectory() as folder:
        paths = [
            write(Path(folder) / "a.ndjson", scan("m-1")),
            write(Path(folder) / "b.ndjson", flow_step("m-2", "2026-01-15T09:30:00Z")),
        ]
        import_paths(paths, catalog=catalog, store=store, identities=KEYS, now=NOW)


def collected(store: LocalStore, catalog: Catalog, raw: bytes, key: WriteKeyContext, received_at: datetime) -> None:
    """A message over HTTP that the gate refused, as a collector ships it."""
    outcome = gate_of(catalog).admit(raw, received_at=received_at, key=key)
    assert isinstance(outcome, Rejected)
    arrival = {"received_at": received_at, "key_name": key.source, "key_kind": key.kind, "site": key.site}
    letter = DeadLetter(
        outcome.reason, outcome.detail, raw, outcome.day or DAY, key.tenant, outcome.stream or "_unknown", **arrival
    )
    hour = received_at.replace(minute=0, second=0, microsecond=0)
    line = letter.sealed(SEALS).line
    name = dead_letter_key(letter.reason, letter.day, letter.tenant, "collector1", digest(line), received_hour=hour)
    store.put(name, compressed(line))
    manifest = Manifest("collector1", hour=hour, acked={letter.tenant: 1})
    manifest.counts[letter.stream, letter.day, letter.tenant] = Counts(received=1, dead_lettered=1)
    manifest.dead_letters.append(WrittenObject(name, {letter.stream: 1}, ""))
    write_manifest(store, manifest)


def again(store: LocalStore, catalog: Catalog, selection: Selection = ALL) -> ReplayReport:
    return replay(store, catalog, selection, identities=KEYS, now=NOW)


def build(store: LocalStore) -> None:
    build_partitions(store, streams=STREAMS, partitions=landed_partitions(store))


def ledger(store: LocalStore) -> Counter[str]:
    """Sums of the ledger, which must balance."""
    rows = ledger_rows(store, FIRST, LAST)
    assert unbalanced(rows).to_pylist() == []
    sums: Counter[str] = Counter()
    for row in rows.to_pylist():
        assert min(row[name] for name in ("received", "accepted", "duplicates", "dead_lettered", "pending")) >= 0, row
        sums.update({name: row[name] for name in ("received", "accepted", "duplicates", "dead_lettered", "pending")})
    return sums


def ids(store: LocalStore) -> list[str]:
    rows = (row for stream in STREAMS for row in scan_raw(store, stream, FIRST, LAST).read_all().to_pylist())
    return sorted(row["message_id"] for row in rows)


def reasons(store: LocalStore, selection: Selection = ALL) -> Counter[str]:
    return Counter(found.letter.reason for found in dead_letters(store, selection, SEALS))


def contents(store: LocalStore) -> dict[str, bytes]:
    return {info.key: store.get(info.key) for info in store.list("")}


def test_after_the_mend_letters_land_once_and_a_second_replay_changes_nothing(
    store: LocalStore, catalog: Catalog, before: Catalog
) -> None:
    imported(store, before, scan("m-1"), scan("m-2"), flow_step("m-3", "2026-01-15T09:30:00Z"), scan("m-4", type="x"))
    assert reasons(store) == {"unknown_event": 2, "invalid_envelope": 1}

    report = again(store, catalog)
    assert report.as_dict() == {
        "replayed": 3,
        "accepted": 2,
        "duplicates": 0,
        "still_dead": 1,
        "not_replayable": 0,
        "reasons": {"invalid_envelope": 1},
        "resumed": 0,
    }
    assert reasons(store) == {"invalid_envelope": 1}
    build(store)
    assert ids(store) == ["m-1", "m-2", "m-3"]
    assert ledger(store) == Counter(received=4, accepted=3, dead_lettered=1)

    held = contents(store)
    assert again(store, catalog).replayed == 1
    assert contents(store) == held


def test_an_event_that_arrived_otherwise_meanwhile_is_a_duplicate(
    store: LocalStore, catalog: Catalog, before: Catalog
) -> None:
    imported(store, before, scan("m-1"), scan("m-2"))
    imported(store, catalog, scan("m-1"), name="mended.ndjson")
    report = again(store, catalog)
    assert (report.accepted, report.duplicates) == (1, 1)
    build(store)
    assert ids(store) == ["m-1", "m-2"]
    assert ledger(store) == Counter(received=3, accepted=2, duplicates=1)


def test_the_same_file_imported_around_a_replay_is_a_duplicate_whenever_it_comes(
    store: LocalStore, catalog: Catalog, before: Catalog
) -> None:
    imported(store, before, scan("m-1"))
    imported_with_another_file(store, before)
    build(store)
    assert ledger(store) == Counter(received=3, dead_lettered=2, accepted=1)
    assert again(store, catalog).accepted == 1
    build(store)
    assert ledger(store) == Counter(received=3, accepted=2, duplicates=1)
    imported_with_another_file(store, catalog)
    assert again(store, catalog).replayed == 0
    assert ledger(store) == Counter(received=5, accepted=2, duplicates=3)


def test_a_letter_that_fails_for_another_reason_moves_there_and_keeps_its_bytes(
    store: LocalStore, catalog: Catalog, before: Catalog
) -> None:
    imported(store, before, scan("m-1", properties={"status_seq": "seven"}))
    (was,) = dead_letters(store, ALL, SEALS)
    assert again(store, catalog).reasons == {"schema_violation": 1}
    (found,) = dead_letters(store, ALL, SEALS)
    assert (found.letter.reason, found.letter.stream) == ("schema_violation", "inventory")
    assert (found.letter.raw, found.letter.source, found.letter.line) == (was.letter.raw, "a.ndjson", 1)
    assert ledger(store) == Counter(received=1, dead_lettered=1)
    assert again(store, catalog).still_dead == 1
    assert reasons(store) == {"schema_violation": 1}


def test_a_letter_over_http_is_judged_as_it_came_and_its_hour_still_adds_up(
    store: LocalStore, catalog: Catalog, before: Catalog
) -> None:
    received_at = datetime(2026, 1, 15, 9, 31, tzinfo=UTC)
    old = scan("m-2", timestamp="2025-11-01T00:00:00Z")
    for key in (WriteKeyContext(TENANT, "devices", "scanner", "product"),):
        collected(store, before, orjson.dumps(scan("m-1", receivedAt=...)), key, received_at)
        collected(store, before, orjson.dumps(old), key, received_at + timedelta(minutes=1))

    report = again(store, catalog)
    assert (report.accepted, report.reasons) == (1, {"time_suspect": 1})
    (line,) = (line for info in store.list("landing/") for line in lines_of(store.get(info.key)))
    landed = orjson.loads(line)
    assert (landed["source"], datetime.fromisoformat(landed["received_at"])) == ("devices", received_at)
    build(store)
    assert ledger(store) == Counter(received=2, accepted=1, dead_lettered=1)
    hours = collector_hours(store, FIRST, LAST, STREAMS)
    assert unaccounted(hours, NOW).num_rows == 0
    assert sum(row["dead_lettered"] for row in hours.to_pylist()) == 2


@pytest.mark.parametrize(
    ("write_key", "accepted"),
    [(f"demo-{OTHER_TENANT}-scanner", 0), (f"demo-{TENANT}-server", 0), ("unknown", 0), (f"demo-{TENANT}-scanner", 1)],
)
def test_a_message_with_another_key_than_its_requests_does_not_slip_in_by_a_replay(
    store: LocalStore, catalog: Catalog, write_key: str, accepted: int
) -> None:
    letter = DeadLetter(
        "tenant_mismatch",
        "writeKey: is another than that of its request",
        orjson.dumps(scan("m-1", writeKey=write_key)),
        DAY,
        TENANT,
        "inventory",
        received_at=datetime(2026, 1, 15, 9, 31, tzinfo=UTC),
        key_name="scanner",
        key_kind="scanner",
        site="product",
    )
    line = letter.sealed(SEALS).line
    store.put(dead_letter_key(letter.reason, DAY, TENANT, "collector1", digest(line)), compressed(line))
    report = again(store, catalog)
    assert (report.accepted, report.still_dead) == (accepted, 1 - accepted)
    assert len(store.list("landing/")) == accepted


def test_what_is_no_whole_message_or_is_judged_by_the_build_is_not_replayed(
    store: LocalStore, catalog: Catalog, tmp_path: Path
) -> None:
    long = tmp_path / "long.ndjson"
    long.write_bytes(b'{"a":"' + b"x" * 5_000_000 + b'"}\n')
    import_paths([long], catalog=catalog, store=store, identities=KEYS, now=NOW)
    imported(store, catalog, scan("m-1"))
    imported(store, catalog, scan("m-1", userId="another", receivedAt="2026-01-15T09:30:00.100Z"), name="b.ndjson")
    build(store)
    assert reasons(store) == {"too_large": 1, "id_conflict": 1}
    held = contents(store)
    report = again(store, catalog)
    assert (report.replayed, report.not_replayable) == (0, 2)
    assert contents(store) == held


def test_only_what_was_selected_is_replayed(store: LocalStore, catalog: Catalog, before: Catalog) -> None:
    there = {"tenant_id": OTHER_TENANT}
    imported(store, before, scan("m-1"), scan("m-2", properties=there), scan("m-3", timestamp="2026-01-20T09:30:00Z"))
    assert again(store, catalog, Selection(reason="schema_violation")).replayed == 0
    assert again(store, catalog, Selection(tenant=OTHER_TENANT)).accepted == 1
    assert again(store, catalog, Selection(first=date(2026, 1, 16), last=date(2026, 1, 31))).accepted == 1
    assert [found.letter.day for found in dead_letters(store, ALL, SEALS)] == [DAY]


def test_of_two_replays_at_once_one_is_told_and_does_nothing(
    store: LocalStore, catalog: Catalog, before: Catalog
) -> None:
    imported(store, before, scan("m-1"))
    late = ReplayLog(store)
    late.resume()
    again(store, catalog)
    held = contents(store)
    with pytest.raises(ReplayUnderWayError):
        late.commit({"dead/x": [0]}, Manifest("replay1", {("product", DAY, TENANT): Counts(1)}), {})
    assert contents(store) == held


def test_letters_of_many_steps_all_move(
    store: LocalStore, catalog: Catalog, before: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analytics_platform.intake.replay._STEP_LETTERS", 2)
    for number in range(5):
        imported(store, before, scan(f"m-{number}"), scan(f"n-{number}"), name=f"{number}.ndjson")
    assert again(store, catalog).accepted == 10
    assert len(store.list("replays/")) == 5
    build(store)
    assert ledger(store) == Counter(received=10, accepted=10)


def _message(kind: str, number: int) -> dict[str, Any]:
    kinds: dict[str, Callable[[], dict[str, Any]]] = {
        "mended": lambda: scan(f"m-{number}"),
        "of another day": lambda: scan(f"m-{number}", timestamp="2026-01-20T09:30:00Z"),
        "of another tenant": lambda: scan(f"m-{number}", properties={"tenant_id": OTHER_TENANT}),
        "conflicting": lambda: scan(f"m-{number}", userId="another", receivedAt="2026-01-15T09:31:00Z"),
        "otherwise wrong": lambda: scan(f"m-{number}", properties={"status_seq": "seven"}),
        "broken": lambda: scan(f"m-{number}", type="nonsense"),
        "good": lambda: flow_step(f"f-{number}", "2026-01-15T09:30:00Z"),
    }
    return kinds[kind]()


KINDS = ("mended", "of another day", "of another tenant", "conflicting", "otherwise wrong", "broken", "good")
MESSAGES = st.lists(st.builds(_message, st.sampled_from(KINDS), st.integers(0, 4)), max_size=8)


@settings(max_examples=15, deadline=None)
@given(
    refused=st.lists(MESSAGES, min_size=1, max_size=3),
    meanwhile=MESSAGES,
    crashes=st.lists(st.integers(0, 6), max_size=4),
    builds=st.booleans(),
)
def test_a_replay_cut_short_anywhere_ends_as_one_that_was_not(
    catalog: Catalog,
    before: Catalog,
    refused: list[list[dict[str, Any]]],
    meanwhile: list[dict[str, Any]],
    crashes: list[int],
    builds: bool,
) -> None:
    with TemporaryDirectory() as folder:
        straight, crashed = LocalStore(Path(folder) / "straight"), LocalStore(Path(folder) / "crashed")
        for store in (straight, crashed):
            for number, messages in enumerate(refused):
                imported(store, before, *messages, name=f"{number}.ndjson")
            imported(store, catalog, *meanwhile, name="meanwhile.ndjson")
            ledger(store)
        again(straight, catalog)
        for changes in crashes:
            with contextlib.suppress(CrashError):
                again(CrashingStore(crashed.root, changes), catalog)
            ledger(crashed)
            if builds:
                build(crashed)
                ledger(crashed)
        again(crashed, catalog)
        for store in (straight, crashed):
            build(store)
        assert ledger(crashed) == ledger(straight)
        assert ids(crashed) == ids(straight)
        assert _letters(crashed) == _letters(straight)
        held = contents(crashed)
        again(crashed, catalog)
        assert contents(crashed) == held


def _letters(store: LocalStore) -> list[bytes]:
    found: list[Found] = list(dead_letters(store, ALL, SEALS))
    return sorted(each.letter.sealed(SEALS).line for each in found)
