"""Each check on data that holds and on data that does not."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_platform.defs.partitions import raw_key as partition_key
from analytics_platform.lake.layout import raw_key
from analytics_platform.lake.ledger import LEDGER_SCHEMA
from analytics_platform.lake.raw import RAW_SCHEMA
from analytics_platform.lake.store import LocalStore, ObjectInfo
from asset_checks.intake import (
    ledger_balances,
    loads_reconcile,
    objects_are_filed,
    partitions_are_readable,
    registry_is_loaded,
)

DAY = date(2026, 3, 1)
PLACE = (DAY, "brabant-rental")


def info(key: str, size: int = 10) -> ObjectInfo:
    return ObjectInfo(key=key, size=size, modified_at=datetime(2026, 3, 1, tzinfo=UTC))


def ledger(**counts: int) -> pa.Table:
    row = {"stream": "billing", "day": DAY, "tenant_id": "a", "received": 0, "accepted": 0, "duplicates": 0}
    return pa.Table.from_pylist([{**row, "dead_lettered": 0, **counts}], LEDGER_SCHEMA)


def rows_of(*rows: tuple[str, int]) -> pa.Table:
    return pa.Table.from_pylist([{"day": DAY, "tenant_id": tenant, "rows": count} for tenant, count in rows])


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def put_parquet(store: LocalStore, schema: pa.Schema) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    store.put(raw_key("billing", *PLACE), sink.getvalue().to_pybytes())


def test_objects_in_a_days_and_tenants_folder_are_filed() -> None:
    facts = objects_are_filed([info("landing/day=2026-03-01/tenant=a/20260301T10-w-0123.ndjson.zst")])
    assert facts.passed
    assert facts.counts == {"objects": 1}


@pytest.mark.parametrize(
    "wrong", [info("landing/stray.txt"), info("landing/day=2026-03-01/tenant=a/x.ndjson.zst", size=0)]
)
def test_a_stray_or_empty_object_is_named(wrong: ObjectInfo) -> None:
    facts = objects_are_filed([wrong])
    assert not facts.passed
    assert facts.offenders == [wrong.key]


def test_a_partition_with_the_raw_columns_is_readable(store: LocalStore) -> None:
    put_parquet(store, RAW_SCHEMA)
    facts = partitions_are_readable(store, "billing", [PLACE])[partition_key(PLACE)]
    assert facts.passed
    assert (facts.checked, facts.failed) == (1, 0)
    assert list(partitions_are_readable(store, "billing", None)) == [partition_key(PLACE)]


def test_a_partition_with_other_columns_is_named(store: LocalStore) -> None:
    put_parquet(store, pa.schema([("something", pa.string())]))
    facts = partitions_are_readable(store, "billing", [PLACE])[partition_key(PLACE)]
    assert not facts.passed
    assert "other columns" in facts.offenders[0]


def test_a_damaged_or_missing_partition_fails_and_its_neighbour_does_not(store: LocalStore) -> None:
    put_parquet(store, RAW_SCHEMA)
    damaged, missing = (DAY, "delta-events"), (DAY, "noord-rigging")
    store.put(raw_key("billing", *damaged), b"not parquet at all")
    facts = partitions_are_readable(store, "billing", [PLACE, damaged, missing])
    assert [facts[partition_key(each)].passed for each in (PLACE, damaged, missing)] == [True, False, False]


def test_a_ledger_row_that_adds_up_balances() -> None:
    facts = ledger_balances(ledger(received=6, accepted=3, duplicates=2, dead_lettered=1))
    assert facts.passed
    assert (facts.checked, facts.failed) == (1, 0)


def test_a_ledger_row_that_lost_a_message_is_named() -> None:
    facts = ledger_balances(ledger(received=6, accepted=3, duplicates=2))
    assert not facts.passed
    assert facts.offenders == ["billing 2026-03-01 a"]
    assert (facts.checked, facts.failed) == (1, 1)


def test_equal_counts_reconcile_and_a_tenant_without_rows_needs_none() -> None:
    assert loads_reconcile(rows_of(("a", 3), ("b", 0)), rows_of(("a", 3))).passed


@pytest.mark.parametrize("found", [rows_of(("a", 2)), rows_of(("a", 3), ("b", 1)), rows_of(("b", 3))])
def test_missing_and_surplus_rows_are_named_by_tenant_day(found: pa.Table) -> None:
    facts = loads_reconcile(rows_of(("a", 3)), found)
    assert not facts.passed
    assert all(offender.startswith("2026-03-01 ") for offender in facts.offenders)


def test_the_registry_is_loaded_when_rows_are_equal_in_any_order() -> None:
    rows = pa.table({"tenant_id": ["a", "b"], "weekday": [1, 2]})
    assert registry_is_loaded(rows, rows.take([1, 0])).passed


def test_a_tenant_that_is_not_loaded_is_named() -> None:
    facts = registry_is_loaded(pa.table({"tenant_id": ["a", "b"]}), pa.table({"tenant_id": ["a"]}))
    assert not facts.passed
    assert facts.offenders == ["b"]
