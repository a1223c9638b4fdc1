from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from landed_lines import DAY, HOUR, STREAMS, TENANT, land, line

from analytics_platform.lake.dead_letters import compressed, lines_of, raw_in_clear
from analytics_platform.lake.layout import conflicts_key, raw_key
from analytics_platform.lake.partition import ForeignObjectError
from analytics_platform.lake.raw import RAW_SCHEMA, LandingCorruptError, RawPartition, build_partitions, scan
from analytics_platform.lake.store import LocalStore


def build(store: LocalStore, *streams: str, day: date = DAY) -> dict[str, RawPartition]:
    built = build_partitions(store, streams=streams or STREAMS, partitions=[(day, TENANT)])
    return {partition.stream: partition for partition in built}


def rows(store: LocalStore, stream: str = "product") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scan(store, stream, DAY, DAY).read_all().to_pylist()
    return found


def test_a_row_is_its_landing_line(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)

    (row,) = rows(store)
    landed = orjson.loads(line("m-1"))
    assert list(row) == RAW_SCHEMA.names
    assert orjson.loads(row["properties"]) == landed["properties"]
    assert (row["day"], row["event_at"], row["context"], row["extra"]) == (DAY, HOUR, None, "{}")
    assert row["event_at"].tzinfo is not None


def test_rows_stand_in_the_order_of_time_and_id_whatever_the_order_of_landing(store: LocalStore) -> None:
    later = HOUR + timedelta(hours=1)
    land(store, line("c", event_at=later), line("b"))
    land(store, line("a"), line("d", event_at=later))
    build(store)

    assert [row["message_id"] for row in rows(store)] == ["a", "b", "c", "d"]


def test_every_stream_is_built_also_without_rows(store: LocalStore) -> None:
    key = land(store, line("m-1"))
    built = build(store)

    assert {stream: partition.accepted for stream, partition in built.items()} == {
        "billing": 0,
        "inventory": 0,
        "product": 1,
    }
    assert all(partition.landing_objects.keys() == {Path(key).name} for partition in built.values())
    assert built["billing"].watermark is None
    assert rows(store, "billing") == []


def test_what_is_current_is_not_written_again(store: LocalStore) -> None:
    land(store, line("m-1"))
    first = build(store)
    before = {info.key: (store.get(info.key), info.modified_at) for info in store.list("raw/")}

    second = build(store)

    assert [partition.changed for partition in first.values()] == [True, True, True]
    assert [partition.changed for partition in second.values()] == [False, False, False]
    assert second["product"].accepted == 1
    assert {info.key: (store.get(info.key), info.modified_at) for info in store.list("raw/")} == before


def test_late_lines_join_and_the_account_grows(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)
    land(store, line("m-2", received_at=HOUR + timedelta(days=3)), line("m-1", source="other"))
    built = build(store)["product"]

    assert (built.landed, built.accepted, built.duplicates, built.conflicts) == (3, 2, 1, 0)
    assert built.watermark == HOUR + timedelta(days=3)
    assert sorted(built.landing_objects.values()) == [1, 2]


def test_rows_outlive_their_landing_objects(store: LocalStore) -> None:
    first = land(store, line("m-1"))
    build(store)
    store.delete(first)
    land(store, line("m-2"))
    built = build(store)["product"]

    assert [row["message_id"] for row in rows(store)] == ["m-1", "m-2"]
    assert (built.landed, len(built.landing_objects)) == (2, 2)


def test_the_earliest_received_stays_and_other_payloads_become_dead_letters(store: LocalStore) -> None:
    early, late = HOUR, HOUR + timedelta(minutes=1)
    land(store, line("m-1", received_at=late, payload_hash="00000000000000bb", user_id="late"))
    build(store)
    land(store, line("m-1", received_at=early, user_id="early"))
    built = build(store)["product"]

    assert [row["user_id"] for row in rows(store)] == ["early"]
    assert (built.landed, built.accepted, built.duplicates, built.conflicts) == (2, 1, 0, 1)
    (letter,) = (orjson.loads(found) for found in lines_of(store.get(conflicts_key("product", DAY, TENANT))))
    assert letter["reason"] == "id_conflict"
    assert raw_in_clear(letter) + b"\n" == line(
        "m-1", received_at=late, payload_hash="00000000000000bb", user_id="late"
    )


def test_a_loser_that_comes_again_is_a_duplicate_not_another_conflict(store: LocalStore) -> None:
    loser = line("m-1", received_at=HOUR + timedelta(hours=1), payload_hash="00000000000000bb")
    first = land(store, line("m-1"), loser)
    build(store)
    store.delete(first)
    land(store, loser)
    built = build(store)["product"]

    assert (built.landed, built.accepted, built.duplicates, built.conflicts) == (3, 1, 1, 1)


def test_building_one_stream_leaves_the_others_to_be_built(store: LocalStore) -> None:
    land(store, line("m-1"), line("m-2", stream="billing"))
    build(store, "product")
    assert store.info(raw_key("billing", DAY, TENANT)) is None

    assert build(store)["billing"].accepted == 1
    assert [row["message_id"] for row in rows(store, "billing")] == ["m-2"]


def test_streams_that_stopped_at_different_landing_objects_are_brought_to_the_same(store: LocalStore) -> None:
    land(store, line("m-1"), line("b-1", stream="billing"))
    build(store)
    land(store, line("m-2"), line("b-2", stream="billing"))
    build(store, "product")
    land(store, line("m-3"), line("b-3", stream="billing"))
    built = build(store)

    assert [row["message_id"] for row in rows(store)] == ["m-1", "m-2", "m-3"]
    assert [row["message_id"] for row in rows(store, "billing")] == ["b-1", "b-2", "b-3"]
    assert (built["product"].duplicates, built["billing"].duplicates) == (0, 0)


def test_an_object_is_the_same_bytes_however_it_came_about(tmp_path: Path) -> None:
    one, two = LocalStore(tmp_path / "one"), LocalStore(tmp_path / "two")
    batches = ([line("m-1"), line("m-2")], [line("m-3"), line("m-1")], [line("m-4", payload_hash="00000000000000cc")])
    for batch in batches:
        land(one, *batch)
        build(one)
    for batch in reversed(batches):
        land(two, *batch)
    build(two)

    assert one.get(raw_key("product", DAY, TENANT)) == two.get(raw_key("product", DAY, TENANT))


def test_a_partition_without_any_landing_is_empty_not_an_error(store: LocalStore) -> None:
    assert build(store)["product"].accepted == 0


def test_an_object_is_zstd_parquet_with_its_statement(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)
    footer = pq.read_metadata(store.local_path(raw_key("product", DAY, TENANT)))

    assert footer.row_group(0).column(0).compression == "ZSTD"
    assert orjson.loads(footer.metadata[b"analytics"])["landed"] == 1


@pytest.mark.parametrize("damage", [b'{"day": "2026', b"not json\n", b'{"day":"2026-01-15"}\n{broken}\n'])
def test_a_damaged_landing_object_is_told_by_name(store: LocalStore, damage: bytes) -> None:
    key = land(store, line("m-1"))
    store.put(key, compressed(line("m-1") + damage))
    with pytest.raises(LandingCorruptError, match=Path(key).name):
        build(store)
    assert store.list("raw/") == []


@pytest.mark.parametrize("data", [b"no zstd at all", compressed(line("m-1") * 500)[:-20]])
def test_a_landing_object_that_does_not_unpack_is_told_by_name(store: LocalStore, data: bytes) -> None:
    key = land(store, line("m-1"))
    store.put(key, data)
    with pytest.raises(LandingCorruptError, match=Path(key).name):
        build(store)


def test_a_line_of_another_tenant_in_an_object_is_refused(store: LocalStore) -> None:
    land(store, line("m-1"), line("m-2", tenant_id="albion-stage"))
    with pytest.raises(LandingCorruptError, match="albion-stage"):
        build(store)
    assert store.list("raw/") == []


@pytest.mark.parametrize("data", [b"no parquet", b""])
def test_a_foreign_object_below_raw_is_told(store: LocalStore, data: bytes) -> None:
    store.put(raw_key("product", DAY, TENANT), data)
    with pytest.raises(ForeignObjectError, match="build it anew"):
        build(store)


@pytest.mark.parametrize("folder", ["with space", "quote's", "glob*[a]?", "é😀"])
def test_the_lake_may_lie_in_any_folder(tmp_path: Path, folder: str) -> None:
    store = LocalStore(tmp_path / folder)
    land(store, line("m-1"))
    build(store)
    land(store, line("m-2"))
    build(store)

    assert len(rows(store)) == 2


@pytest.mark.parametrize("memory", ["enough", "too little"])
def test_a_partition_may_be_larger_than_a_row_group_and_than_memory(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    monkeypatch.setattr("analytics_platform.lake.raw._ROW_GROUP_BYTES", 100_000)
    monkeypatch.setattr("analytics_platform.lake.merge._ROWS_PER_TAKE", 64)
    monkeypatch.setattr("analytics_platform.lake.merge._FETCHED_BYTES", 50_000)
    if memory == "too little":
        monkeypatch.setattr("analytics_platform.lake.raw._MEMORY_BYTES", 0)
    lines = [line(f"m-{n:04d}", event_at=HOUR + timedelta(seconds=n)) for n in range(3_000)]
    land(store, *reversed(lines), *lines[:10])
    land(store, *lines[:20])
    built = build(store)["product"]

    assert [row["message_id"] for row in rows(store)] == [f"m-{n:04d}" for n in range(3_000)]
    assert (built.landed, built.duplicates) == (3_030, 30)
    assert pq.read_metadata(store.local_path(raw_key("product", DAY, TENANT))).num_row_groups > 1


def test_many_partitions_are_built_in_batches(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics_platform.lake.raw._BATCH_OBJECTS", 3)
    days = [DAY + timedelta(days=n) for n in range(8)]
    for day in days:
        land(store, line("m", day=day), line("b", day=day, stream="billing"), day=day)
    told: list[tuple[int, int]] = []
    built = build_partitions(
        store, streams=STREAMS, partitions=[(day, TENANT) for day in days], progress=lambda *at: told.append(at)
    )

    assert sum(partition.accepted for partition in built) == 16
    assert told == [(3, 8), (6, 8), (8, 8)]
    assert scan(store, "product", days[1], days[3]).read_all()["day"].to_pylist() == days[1:4]


@pytest.mark.parametrize("lines", [(100, 1, 100, 1), (1, 100, 1, 100)])
def test_partitions_that_memory_holds_and_that_it_does_not_are_built_after_each_other(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, lines: tuple[int, ...]
) -> None:
    monkeypatch.setattr("analytics_platform.lake.raw._BATCH_OBJECTS", 1)
    monkeypatch.setattr("analytics_platform.lake.raw._MEMORY_BYTES", 10_000)
    days = [DAY + timedelta(days=n) for n in range(len(lines))]
    for day, count in zip(days, lines, strict=True):
        land(store, *(line(f"m-{n}", day=day) for n in range(count)), day=day)
    built = build_partitions(store, streams=["product"], partitions=[(day, TENANT) for day in days])
    assert tuple(partition.accepted for partition in built) == lines


def test_extreme_values_survive(store: LocalStore) -> None:
    far = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
    land(store, line("m-1", sent_at=far, original_timestamp=datetime(1, 1, 1, tzinfo=UTC), user_id="\u0000'\"\\é😀"))
    build(store)

    (row,) = rows(store)
    assert (row["sent_at"], row["user_id"]) == (far, "\u0000'\"\\é😀")
