from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from known_keys import SEALS
from landed_lines import DAY, HOUR, STREAMS, TENANT, land, line

from analytics_platform.lake.changes import earliest_change_since, landed_partitions, stale_partitions
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import dead_letter_key, digest, raw_key
from analytics_platform.lake.ledger import LEDGER_SCHEMA, ledger_rows, unbalanced
from analytics_platform.lake.manifest import Counts, Manifest, WrittenObject, write_manifest
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore

NEXT = DAY + timedelta(days=1)


def build(store: LocalStore, *streams: str) -> None:
    build_partitions(store, streams=streams or STREAMS, partitions=landed_partitions(store))


def ledger(store: LocalStore, first: date = DAY, last: date = NEXT) -> dict[str, dict[str, Any]]:
    table: pa.Table = ledger_rows(store, first, last)
    assert table.schema == LEDGER_SCHEMA
    return {row["stream"]: row for row in table.to_pylist()}


def imported(store: LocalStore) -> tuple[str, str]:
    """Two landed lines, a duplicate and a dead letter, with their manifest; the keys of the two objects."""
    landing = land(store, line("m-1"), line("m-2"))
    letter = (
        DeadLetter("schema_violation", "properties.flow: missing", b"{}", DAY, TENANT, "product").sealed(SEALS).line
    )
    dead = dead_letter_key("schema_violation", DAY, TENANT, "import", digest(letter))
    store.put(dead, compressed(letter))
    counts = {("product", DAY, TENANT): Counts(received=4, accepted=2, duplicates=1, dead_lettered=1)}
    write_manifest(
        store,
        Manifest(
            "import", counts, [WrittenObject(landing, {"product": 2}, "")], [WrittenObject(dead, {"product": 1}, "")]
        ),
    )
    return landing, dead


class TestChanges:
    def test_one_late_object_makes_exactly_its_partition_stale(self, store: LocalStore) -> None:
        land(store, line("m-1"))
        land(store, line("m-2", day=NEXT), day=NEXT)
        land(store, line("m-3", tenant_id="albion-stage"), tenant="albion-stage")
        assert stale_partitions(store) == [(DAY, "albion-stage"), (DAY, TENANT), (NEXT, TENANT)]
        build(store)
        assert stale_partitions(store, streams=STREAMS) == []

        land(store, line("late"))
        assert stale_partitions(store, streams=STREAMS) == [(DAY, TENANT)]
        assert stale_partitions(store, NEXT, NEXT, streams=STREAMS) == []
        assert landed_partitions(store, NEXT) == [(NEXT, TENANT)]

    def test_a_partition_is_stale_until_every_stream_holds_it(self, store: LocalStore) -> None:
        land(store, line("m-1"))
        build(store, "product")
        assert stale_partitions(store) == []
        assert stale_partitions(store, streams=STREAMS) == [(DAY, TENANT)]

    def test_a_removed_landing_object_makes_nothing_stale(self, store: LocalStore) -> None:
        key = land(store, line("m-1"))
        build(store)
        store.delete(key)
        assert stale_partitions(store, streams=STREAMS) == []

    def test_a_change_reaches_back_to_the_earliest_business_day_it_tells_of(self, store: LocalStore) -> None:
        moment = datetime.now(UTC) - timedelta(hours=1)
        land(store, line("m-1", occurred_at=datetime(2025, 12, 1, 13, tzinfo=UTC)))
        build(store)
        assert earliest_change_since(store, moment) == date(2025, 12, 1)
        assert earliest_change_since(store, datetime.now(UTC) + timedelta(hours=1)) is None

    def test_a_future_business_time_does_not_hide_the_partitions_own_day(self, store: LocalStore) -> None:
        land(store, line("m-1", occurred_at=HOUR + timedelta(days=40)))
        build(store)
        for info in store.list("raw/"):
            os.utime(store.local_path(info.key), (0, 0) if "product" not in info.key else None)
        assert earliest_change_since(store, datetime.now(UTC) - timedelta(hours=1)) == DAY


class TestLedger:
    def test_what_came_in_equals_what_became_of_it(self, store: LocalStore) -> None:
        imported(store)
        build(store)
        row = ledger(store)["product"]

        assert (row["received"], row["accepted"], row["duplicates"], row["dead_lettered"]) == (4, 2, 1, 1)
        assert (row["pending"], row["landing_objects"], row["watermark"]) == (0, 1, HOUR)
        assert row["bytes"] == len(store.get(raw_key("product", DAY, TENANT)))
        assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0

    def test_what_landed_after_the_build_is_pending_not_missing(self, store: LocalStore) -> None:
        imported(store)
        row = ledger(store)["product"]
        assert (row["received"], row["pending"], row["accepted"]) == (2, 2, 0)
        assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0

    def test_conflicts_that_raw_found_are_dead_letters(self, store: LocalStore) -> None:
        land(store, line("m-1"), line("m-1", payload_hash="00000000000000bb"), line("m-1", source="again"))
        build(store)
        row = ledger(store)["product"]
        assert (row["received"], row["accepted"], row["duplicates"], row["dead_lettered"]) == (3, 1, 1, 1)

    def test_other_days_are_left_out(self, store: LocalStore) -> None:
        imported(store)
        build(store)
        assert ledger(store, NEXT, NEXT) == {}

    @pytest.mark.parametrize("lost", ["landing", "dead letter", "raw rows", "short landing"])
    def test_a_loss_anywhere_unbalances_it(self, store: LocalStore, lost: str) -> None:
        landing, dead = imported(store)
        if lost == "landing":
            store.delete(landing)
        if lost == "short landing":
            store.put(landing, compressed(line("m-1")))
        build_partitions(store, streams=STREAMS, partitions=[(DAY, TENANT)])
        if lost == "dead letter":
            store.delete(dead)
        if lost == "raw rows":
            fewer = LocalStore(store.root.parent / "fewer")
            land(fewer, line("m-1"))
            build(fewer)
            held = store.get(raw_key("product", DAY, TENANT))
            assert held != fewer.get(raw_key("product", DAY, TENANT))
            store.put(raw_key("product", DAY, TENANT), fewer.get(raw_key("product", DAY, TENANT)))
            store.delete(landing)

        (row,) = unbalanced(ledger_rows(store, DAY, DAY)).to_pylist()
        assert row["stream"] == "product"

    def test_a_manifest_says_the_same_under_the_same_key(self, store: LocalStore) -> None:
        imported(store)
        (before,) = store.list("landing_manifests/")
        counts = {("product", DAY, TENANT): Counts(4, 2, 1, 1)}
        empty = write_manifest(store, Manifest("import"))
        first = write_manifest(store, Manifest("import", counts))
        assert empty is None
        assert first == write_manifest(store, Manifest("import", counts))
        assert before.key.startswith("landing_manifests/20260115_20260115-import-")
