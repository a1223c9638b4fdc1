"""Partitions that are built and hold nothing: told from those never built, without an object of their own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from landed_lines import DAY, STREAMS, TENANT, land, line

from analytics_platform.lake.built import built_partitions, empty_partition, find_empty, forget_empty, state_empty
from analytics_platform.lake.changes import earliest_change_since, stale_partitions
from analytics_platform.lake.layout import EMPTY_PREFIX, RAW_PREFIX, empty_key, raw_key
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.partition import ForeignObjectError, statement
from analytics_platform.lake.raw import RawPartition, _parquet, build_partitions
from analytics_platform.lake.store import LocalStore

PLACE = (DAY, TENANT)


def build(store: LocalStore, *streams: str) -> dict[str, RawPartition]:
    built = build_partitions(store, streams=streams or STREAMS, partitions=[PLACE])
    return {partition.stream: partition for partition in built}


def names(store: LocalStore) -> dict[str, tuple[str, ...]]:
    found = find_empty(store, *PLACE)
    return {} if found is None else dict(found.names)


def with_objects_of_old(store: LocalStore, *streams: str) -> None:
    """Give empty partitions the Parquet object that each had before they were stated together."""
    for stream in streams:
        partition = empty_partition(stream, *PLACE, names(store).get(stream, ()))
        store.put(raw_key(stream, *PLACE), _parquet(partition, iter(())))
    state_empty(store, [], [empty_partition(stream, *PLACE, ()) for stream in streams])


def test_streams_without_lines_share_one_statement_and_have_no_object(store: LocalStore) -> None:
    name = Path(land(store, line("m-1"))).name
    build(store)

    assert [info.key for info in store.list(RAW_PREFIX)] == [raw_key("product", *PLACE)]
    assert [info.key for info in store.list(EMPTY_PREFIX)] == [empty_key(*PLACE)]
    assert names(store) == {"billing": (name,), "inventory": (name,)}


def test_what_is_built_and_empty_is_current_and_what_was_never_built_is_stale(store: LocalStore) -> None:
    land(store, line("m-1"))
    assert stale_partitions(store, streams=STREAMS) == [PLACE]
    build(store, "product", "billing")
    assert stale_partitions(store, streams=STREAMS) == [PLACE]
    assert stale_partitions(store) == []
    assert {part.stream for part, _ in built_partitions(store, STREAMS, *PLACE)} == {"product", "billing"}

    build(store, "inventory")
    assert stale_partitions(store, streams=STREAMS) == []
    assert not any(partition.changed for partition in build(store).values())


def test_a_stream_that_gets_its_first_line_leaves_the_statement(store: LocalStore) -> None:
    first = Path(land(store, line("m-1"))).name
    build(store)
    second = Path(land(store, line("b-1", stream="billing"))).name
    assert stale_partitions(store, streams=STREAMS) == [PLACE]
    built = build(store)

    assert built["billing"].landing_objects == {first: 0, second: 1}
    assert set(names(store)) == {"inventory"}
    land(store, line("i-1", stream="inventory"))
    build(store)
    assert store.list(EMPTY_PREFIX) == []


def test_a_raw_object_that_is_deleted_is_built_anew_whatever_an_old_statement_says(store: LocalStore) -> None:
    """Another build that began earlier may have put back a statement from before the stream's first line."""
    land(store, line("m-1"))
    build(store)
    old = store.get(empty_key(*PLACE))
    land(store, line("b-1", stream="billing"))
    build(store)
    store.put(empty_key(*PLACE), old)
    store.delete(raw_key("billing", *PLACE))

    assert stale_partitions(store, streams=STREAMS) == [PLACE]
    assert build(store)["billing"].accepted == 1


def test_a_raw_object_speaks_for_its_stream_beside_a_statement(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)
    state_empty(store, [empty_partition("product", *PLACE, ["x"])], [])

    (found,) = (part for part, _ in built_partitions(store, ["product"], *PLACE))
    assert (found.accepted, "x" in found.landing_objects) == (1, False)
    (row,) = (row for row in ledger_rows(store, DAY, DAY).to_pylist() if row["stream"] == "product")
    assert (row["received"], row["accepted"]) == (1, 1)


def test_a_lake_whose_empty_partitions_have_objects_is_read_and_goes_on(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)
    before = ledger_rows(store, DAY, DAY).drop(["bytes", "changed_at"])
    with_objects_of_old(store, "billing", "inventory")
    assert store.list(EMPTY_PREFIX) == []

    assert stale_partitions(store, streams=STREAMS) == []
    assert not any(partition.changed for partition in build(store).values())
    assert ledger_rows(store, DAY, DAY).drop(["bytes", "changed_at"]) == before
    land(store, line("m-2"), line("b-1", stream="billing"))
    built = build(store)
    assert (built["product"].accepted, built["billing"].accepted, built["inventory"].accepted) == (2, 1, 0)
    assert stale_partitions(store, streams=STREAMS) == []
    assert store.list(EMPTY_PREFIX) == []


def test_an_empty_stream_has_a_balanced_row_in_the_ledger(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)
    ledger = ledger_rows(store, DAY, DAY)

    assert [(row["stream"], row["received"], row["landing_objects"]) for row in ledger.to_pylist()] == [
        ("billing", 0, 1),
        ("inventory", 0, 1),
        ("product", 1, 1),
    ]
    assert unbalanced(ledger).num_rows == 0


def test_a_statement_bears_upon_its_day_when_it_changes(store: LocalStore) -> None:
    state_empty(store, [empty_partition("billing", *PLACE, [])], [])
    now = datetime.now(UTC)

    assert earliest_change_since(store, now - timedelta(hours=1)) == DAY
    assert earliest_change_since(store, now + timedelta(hours=1)) is None


def test_a_stream_is_taken_out_of_a_statement_and_the_last_one_removes_it(store: LocalStore) -> None:
    land(store, line("m-1"))
    build(store)
    for stream, left in (("product", {"billing", "inventory"}), ("billing", {"inventory"}), ("inventory", set())):
        for info in store.list(EMPTY_PREFIX):
            forget_empty(store, info, stream)
        assert set(names(store)) == left
    assert store.list(EMPTY_PREFIX) == []


@pytest.mark.parametrize("data", [b"no json", b"[]", b"{}", b'{"streams": []}'])
def test_a_foreign_object_in_the_place_of_a_statement_is_told_by_name(store: LocalStore, data: bytes) -> None:
    store.put(empty_key(*PLACE), data)
    with pytest.raises(ForeignObjectError, match=f"{empty_key(*PLACE)} is no statement"):
        build(store)


def test_a_partition_with_lines_that_all_went_keeps_its_object(store: LocalStore) -> None:
    """An erasure may leave an object without rows: its account of what landed is the only one."""
    land(store, line("m-1"))
    held = build(store)["product"]
    gone = replace(held, accepted=0, erased=1)
    store.put(held.key, _parquet(gone, iter(())))
    land(store, line("b-1", stream="billing"))
    built = build(store)["product"]

    assert (built.accepted, built.erased, built.landed) == (0, 1, 1)
    assert store.info(held.key) is not None
    assert statement(built) != statement(empty_partition("product", *PLACE, []))
