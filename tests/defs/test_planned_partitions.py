"""A plan is one event for all partitions of an asset, and says of each of them what an event of its own would."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from raw_in_a_log import KEY, PARTITIONS, built, instance_of_two_tenants, log

from analytics_platform.defs.event_batches import wipe_partitions


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with instance_of_two_tenants(tmp_path_factory.mktemp("plans")) as instance:
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> dg.DagsterInstance:
    """One instance for all, in which nothing has happened yet to the asset."""
    opened.wipe_assets([KEY])
    return opened


def failed(instance: dg.DagsterInstance) -> list[str]:
    """What Dagster shows as failed when it sums all events up anew."""
    log(instance).wipe_asset_cached_status(KEY)
    status = get_and_update_asset_status_cache_value(instance, KEY, PARTITIONS.day_tenant)
    assert status is not None
    return sorted(status.deserialize_failed_partition_subsets(PARTITIONS.day_tenant).get_partition_keys())


def planned_by(instance: dg.DagsterInstance, partition: str) -> str | None:
    found = instance.get_latest_planned_materialization_info(KEY, partition)
    return found.run_id if found else None


def test_a_run_leaves_one_event_a_partition_and_one_plan(instance: dg.DagsterInstance) -> None:
    said = Counter(
        entry.dagster_event_type for entry in instance.all_logs(built(instance, "2026-01-01|a", "2026-01-03|b"))
    )
    assert said[dg.DagsterEventType.ASSET_MATERIALIZATION] == 6
    assert said[dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED] == 1


def test_the_plan_of_a_single_partition_names_it(instance: dg.DagsterInstance) -> None:
    run_id = built(instance, "2026-01-02|a", "2026-01-02|a")
    plans = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
    assert [plan.get_dagster_event().partition for plan in plans] == ["2026-01-02|a"]


def test_partitions_of_a_failed_range_stay_failed_until_each_is_built(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-02|b", fails=True)
    assert failed(instance) == ["2026-01-01|a", "2026-01-01|b", "2026-01-02|a", "2026-01-02|b"]
    built(instance, "2026-01-01|a", "2026-01-02|a")
    assert failed(instance) == ["2026-01-01|b", "2026-01-02|b"]
    built(instance, "2026-01-02|b", "2026-01-02|b")
    assert failed(instance) == ["2026-01-01|b"]
    built(instance, "2026-01-01|a", "2026-01-01|a", fails=True)
    assert failed(instance) == ["2026-01-01|a", "2026-01-01|b"]


def test_each_partition_knows_the_run_that_planned_it_last(instance: dg.DagsterInstance) -> None:
    assert planned_by(instance, "2026-01-01|a") is None
    first = built(instance, "2026-01-01|a", "2026-01-02|b")
    broken = built(instance, "2026-01-02|a", "2026-01-02|b", fails=True)
    assert (planned_by(instance, "2026-01-01|a"), planned_by(instance, "2026-01-02|a")) == (first, broken)
    again = built(instance, "2026-01-02|a", "2026-01-02|a")
    assert (planned_by(instance, "2026-01-02|a"), planned_by(instance, "2026-01-02|b")) == (again, broken)


def test_what_is_removed_is_in_no_plan_any_more(instance: dg.DagsterInstance) -> None:
    built(instance, "2026-01-01|a", "2026-01-02|b", fails=True)
    wipe_partitions(log(instance), KEY, ["2026-01-01|a", "2026-01-02|b"])
    assert failed(instance) == ["2026-01-01|b", "2026-01-02|a"]
    assert planned_by(instance, "2026-01-01|a") is None
