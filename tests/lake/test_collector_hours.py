from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from known_keys import SEALS
from landed_lines import DAY, HOUR, STREAMS, TENANT, line

from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.collector_hours import COLLECTOR_HOURS_SCHEMA, OVERDUE, collector_hours, unaccounted
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import collected, dead_letter_key, digest, landing_key, placed
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.manifest import Counts, Manifest, WrittenObject, read_manifests, write_manifest
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore

WRITER = "collector0a"
RECEIVED_ON = HOUR.date()
LATER = HOUR + timedelta(days=1)


def put(store: LocalStore, *lines: bytes, day: date = DAY) -> WrittenObject:
    data = b"".join(lines)
    key = landing_key(day, TENANT, HOUR, WRITER, digest(data))
    store.put(key, compressed(data))
    return WrittenObject(key, {"product": len(lines)}, "")


def put_letter(store: LocalStore) -> WrittenObject:
    letter = (
        DeadLetter("schema_violation", "properties.flow: missing", b"{}", DAY, TENANT, "product").sealed(SEALS).line
    )
    key = dead_letter_key("schema_violation", DAY, TENANT, WRITER, digest(letter), received_hour=HOUR)
    store.put(key, compressed(letter))
    return WrittenObject(key, {"product": 1}, "")


def close(store: LocalStore, landing: list[WrittenObject], dead: list[WrittenObject], acked: int) -> None:
    counts = Counts(received=acked, accepted=acked - len(dead), dead_lettered=len(dead))
    key = ("product", DAY, TENANT)
    write_manifest(store, Manifest(WRITER, {key: counts}, landing, dead, hour=HOUR, acked={TENANT: acked}))


def rows(store: LocalStore, first: date = RECEIVED_ON, last: date = RECEIVED_ON) -> list[dict[str, Any]]:
    table = collector_hours(store, first, last, STREAMS)
    assert table.schema == COLLECTOR_HOURS_SCHEMA
    return table.to_pylist()  # type: ignore[no-any-return]


def wrong(store: LocalStore, now: datetime = LATER) -> int:
    return unaccounted(collector_hours(store, RECEIVED_ON, RECEIVED_ON, STREAMS), now).num_rows  # type: ignore[no-any-return]


def test_names_tell_the_hour_and_the_collector(store: LocalStore) -> None:
    found = put(store, line("m-1"))
    origin = collected(placed(found.key).name)
    assert origin is not None
    assert (origin.hour, origin.writer) == (HOUR, WRITER)
    assert collected("20260115T10-import-0123456789abcdef.ndjson.zst") is None
    assert collected("raw-product.ndjson.zst") is None


def test_a_manifest_of_an_hour_is_read_back_as_it_was_written(store: LocalStore) -> None:
    close(store, [put(store, line("m-1"))], [], acked=1)
    (manifest,) = read_manifests(store, DAY, DAY)
    assert (manifest.hour, manifest.acked) == (HOUR, {TENANT: 1})
    assert f"-20260115T10-{WRITER}-" in manifest.key


def test_a_closed_hour_adds_up_before_and_after_raw_holds_it(store: LocalStore) -> None:
    close(store, [put(store, line("m-1"), line("m-2"))], [put_letter(store)], acked=3)
    expected = {
        "day": RECEIVED_ON,
        "hour": HOUR,
        "writer": WRITER,
        "tenant_id": TENANT,
        "acked": 3,
        "landed": 2,
        "dead_lettered": 1,
        "waiting": 0,
        "objects": 2,
    }
    assert rows(store) == [expected]
    assert wrong(store) == 0
    build_partitions(store, streams=STREAMS, partitions=landed_partitions(store))
    assert rows(store) == [expected]


def test_an_hour_without_a_manifest_waits_and_is_overdue_in_the_end(store: LocalStore) -> None:
    put(store, line("m-1"))
    put_letter(store)
    (row,) = rows(store)
    assert (row["acked"], row["landed"], row["dead_lettered"], row["waiting"]) == (0, 0, 0, 2)
    end = HOUR + timedelta(hours=1)
    assert wrong(store, end + OVERDUE) == 0
    assert wrong(store, end + OVERDUE + timedelta(seconds=1)) == 1


@pytest.mark.parametrize("lost", ["landing", "short landing", "dead letter", "segment"])
def test_whatever_is_lost_is_found(store: LocalStore, lost: str) -> None:
    landing, dead = put(store, line("m-1"), line("m-2")), put_letter(store)
    close(store, [landing], [dead], acked=4 if lost == "segment" else 3)
    if lost == "landing":
        store.delete(landing.key)
    if lost == "short landing":
        store.put(landing.key, compressed(line("m-1")))
    if lost == "dead letter":
        store.delete(dead.key)
    assert wrong(store) == 1
    build_partitions(store, streams=STREAMS, partitions=[(DAY, TENANT)])
    assert wrong(store) == 1


def test_what_retention_removed_after_raw_held_it_is_not_lost(store: LocalStore) -> None:
    landing = put(store, line("m-1"), line("m-2"))
    close(store, [landing], [], acked=2)
    build_partitions(store, streams=STREAMS, partitions=[(DAY, TENANT)])
    store.delete(landing.key)
    (row,) = rows(store)
    assert (row["acked"], row["landed"], row["objects"]) == (2, 2, 0)
    assert wrong(store) == 0


def test_an_object_that_only_some_streams_hold_is_counted_once(store: LocalStore) -> None:
    close(store, [put(store, line("m-1"), line("m-2", stream="billing"))], [], acked=2)
    build_partitions(store, streams=["billing"], partitions=[(DAY, TENANT)])
    assert wrong(store) == 0


def test_a_further_part_of_an_hour_adds_to_it(store: LocalStore) -> None:
    close(store, [put(store, line("m-1"))], [], acked=1)
    close(store, [put(store, line("m-2"), line("m-3"))], [], acked=2)
    (row,) = rows(store)
    assert (row["acked"], row["landed"]) == (3, 3)


def test_events_of_another_business_day_stay_with_the_hour_that_took_them(store: LocalStore) -> None:
    week_ago = DAY - timedelta(days=7)
    close(store, [put(store, line("m-1", day=week_ago), day=week_ago)], [], acked=1)
    assert rows(store)[0]["landed"] == 1
    assert rows(store, week_ago, week_ago) == []


def test_the_ledger_balances_before_and_after_the_hours_manifest(store: LocalStore) -> None:
    landing, dead = put(store, line("m-1"), line("m-2")), put_letter(store)
    build_partitions(store, streams=STREAMS, partitions=[(DAY, TENANT)])
    before = ledger_rows(store, DAY, DAY)
    close(store, [landing], [dead], acked=3)
    after = ledger_rows(store, DAY, DAY)
    assert unbalanced(before).num_rows == unbalanced(after).num_rows == 0
    assert before.column("received").to_pylist() == after.column("received").to_pylist()
