"""What is answered about an asset's partitions is what Dagster's own way comes to, with less work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent
from dagster._core.loader import LoadingContextForTest
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue, get_and_update_asset_status_cache_value
from hypothesis import given
from hypothesis import strategies as st
from raw_in_a_log import DAILY, DEFINITIONS, KEY, PARTITIONS, built, instance_of_two_tenants

from analytics_platform.defs.event_batches import wipe_partitions
from analytics_platform.defs.partition_status import PackedStatus, add, pack, unpack
from analytics_platform.defs.partitions import TENANT_PARTITIONS, partitions_from


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with instance_of_two_tenants(tmp_path_factory.mktemp("status")) as instance:
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> dg.DagsterInstance:
    """One instance for all, in which nothing has happened yet to the assets."""
    opened.wipe_assets(list(DEFINITIONS))
    return opened


def begun(instance: dg.DagsterInstance, partition: str) -> str:
    """A run that plans a partition and has not ended."""
    run = dg.DagsterRun(job_name="ingest", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    planned = AssetMaterializationPlannedData(KEY, partition)
    event = DagsterEvent.build_asset_materialization_planned_event("ingest", "raw", planned)
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def answered(instance: dg.DagsterInstance, of: dg.PartitionsDefinition | None = None, key: dg.AssetKey = KEY) -> object:
    """What a reader is told, in Dagster's own words."""
    value = looked_up(instance, of, key)
    return None if value is None else AssetStatusCacheValue(*(getattr(value, name) for name in value._fields))


def looked_up(
    instance: dg.DagsterInstance, of: dg.PartitionsDefinition | None = None, key: dg.AssetKey = KEY
) -> AssetStatusCacheValue | None:
    context = LoadingContextForTest(instance)
    (value,) = instance.event_log_storage.get_asset_status_cache_values([(key, of or DEFINITIONS[key])], context)
    assert value is None or isinstance(value, AssetStatusCacheValue)
    return value


def anew(instance: dg.DagsterInstance, of: dg.PartitionsDefinition | None = None, key: dg.AssetKey = KEY) -> object:
    """Dagster's own answer, from all events."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    storage.wipe_asset_cached_status(key)
    return get_and_update_asset_status_cache_value(instance, key, of or DEFINITIONS[key])


def keys_of(value: object) -> list[list[str]]:
    assert isinstance(value, AssetStatusCacheValue)
    subsets = (
        value.deserialize_materialized_partition_subsets(PARTITIONS.day_tenant),
        value.deserialize_failed_partition_subsets(PARTITIONS.day_tenant),
        value.deserialize_in_progress_partition_subsets(PARTITIONS.day_tenant),
    )
    return [sorted(subset.get_partition_keys()) for subset in subsets]


@contextmanager
def listings() -> Iterator[list[str]]:
    """Statements that list partitions of events."""
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "event_logs.partition" in statement:
            said.append(statement)

    db.event.listen(db.engine.Engine, "before_cursor_execute", note)
    yield said
    db.event.remove(db.engine.Engine, "before_cursor_execute", note)


def test_after_each_thing_that_happens_the_answer_is_dagsters_own(instance: dg.DagsterInstance) -> None:
    assert answered(instance) is None
    built(instance, "2026-01-01|a", "2026-01-03|b")
    first = answered(instance)
    assert first == answered(instance) == anew(instance)
    assert [len(each) for each in keys_of(first)] == [6, 0, 0]
    built(instance, "2026-01-04|a", "2026-01-04|a")
    assert len(keys_of(answered(instance))[0]) == 7
    assert answered(instance) == anew(instance)
    built(instance, "2026-01-05|b", "2026-01-05|b", fails=True)
    assert answered(instance) == answered(instance) == anew(instance)
    assert keys_of(answered(instance))[1] == ["2026-01-05|b"]


def test_a_run_under_way_is_looked_at_until_it_has_ended(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-01|b")
    run_id = begun(instance, "2026-01-02|a")
    assert keys_of(answered(instance))[2] == keys_of(answered(instance))[2] == ["2026-01-02|a"]
    instance.report_run_failed(instance.get_run_by_id(run_id))
    assert keys_of(answered(instance)) == [["2026-01-01|a", "2026-01-01|b"], ["2026-01-02|a"], []]


def test_other_partitions_are_counted_anew(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-03|b")
    answered(instance)
    later = partitions_from(date(2026, 1, 2), "Europe/Amsterdam").day_tenant
    assert len(keys_of(answered(instance, later))[0]) == 4


def test_nothing_is_read_of_what_has_happened_while_nothing_new_has(instance: dg.DagsterInstance) -> None:
    for key in DEFINITIONS:
        built(instance, *(("2026-01-01|a", "2026-01-03|b") if key == KEY else ("2026-01-01", "2026-01-03")), key=key)
        answered(instance, key=key)
    with listings() as listed:
        for key in DEFINITIONS:
            assert answered(instance, key=key) is not None
        assert listed == []
        anew(instance)
        assert listed


def test_a_tenant_that_joins_leaves_the_sum_as_it_is(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-03|b")
    answered(instance)
    instance.add_dynamic_partitions(TENANT_PARTITIONS, ["c"])
    with listings() as listed:
        joined = answered(instance)
    assert listed == []
    assert joined == anew(instance)
    built(instance, "2026-01-03|c", "2026-01-03|c")
    assert "2026-01-03|c" in keys_of(answered(instance))[0]
    assert answered(instance) == anew(instance)


def test_a_sum_in_dagsters_own_form_is_taken_over(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-03|b")
    of_a_stock_release = anew(instance)
    with listings() as listed:
        assert answered(instance) == of_a_stock_release
    assert listed == []
    assert isinstance(looked_up(instance), PackedStatus)


DAYS_AND_TENANTS = st.frozensets(
    st.builds(
        lambda day, tenant: f"{day}|{tenant}",
        st.dates(date(2025, 12, 20), date(2026, 1, 12)),
        st.sampled_from(["a", "b-2", "c|d", "é"]),
    )
)


@given(DAYS_AND_TENANTS, DAYS_AND_TENANTS)
def test_a_packed_set_holds_what_was_put_in_and_equal_sets_have_equal_texts(
    one: frozenset[str], other: frozenset[str]
) -> None:
    assert unpack(pack(one)).subset == one
    assert add(pack(one), other) == add(pack(other), one) == pack(one | other)


def test_seven_years_of_fifty_tenants_take_some_kilobytes() -> None:
    days = [(date(2019, 12, 1) + timedelta(n)).isoformat() for n in range(2557)]
    assert len(pack(f"{day}|tenant-{n}" for day in days for n in range(50))) < 2_000


def test_removed_partitions_are_taken_out_of_the_sum_and_the_rest_stays(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-03|b")
    built(instance, "2026-01-05|b", "2026-01-05|b", fails=True)
    answered(instance)
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    wipe_partitions(storage, KEY, ["2026-01-01|a", "2026-01-02|a", "2026-01-05|b"])
    with listings() as listed:
        left = answered(instance)
    assert listed == []
    assert left is not None
    assert left[1:] == anew(instance)[1:]  # that it knows of an event which is gone does no harm
    assert keys_of(left) == [["2026-01-01|b", "2026-01-02|b", "2026-01-03|a", "2026-01-03|b"], [], []]


def test_removed_days_of_a_daily_asset_are_counted_anew(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01", "2026-01-03", key=DAILY)
    answered(instance, key=DAILY)
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    wipe_partitions(storage, DAILY, ["2026-01-01"])
    left = answered(instance, key=DAILY)
    assert isinstance(left, AssetStatusCacheValue)
    assert sorted(left.deserialize_materialized_partition_subsets(PARTITIONS.day).get_partition_keys()) == [
        "2026-01-02",
        "2026-01-03",
    ]
