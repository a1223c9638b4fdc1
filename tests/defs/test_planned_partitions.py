"""A plan is one event for all partitions of an asset, and says of each of them what an event of its own would."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from analytics_platform.defs.event_batches import wipe_partitions
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import TENANT_PARTITIONS, partitions_from, range_tags
from analytics_platform.settings import Settings

KEY = dg.AssetKey(["raw", "billing"])
PARTITIONS = partitions_from(date(2026, 1, 1), "Europe/Amsterdam")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=tmp_path_factory.mktemp("plans"))) as instance:
        instance.add_dynamic_partitions(TENANT_PARTITIONS, ["a", "b"])
        yield instance


@pytest.fixture
def instance(opened: dg.DagsterInstance) -> dg.DagsterInstance:
    """One instance for all, in which nothing has happened yet to the asset."""
    opened.wipe_assets([KEY])
    return opened


def built(instance: dg.DagsterInstance, first: str, last: str, *, fails: bool = False) -> str:
    """A run over a range; its id."""

    @dg.asset(key=KEY, partitions_def=PARTITIONS.day_tenant, backfill_policy=dg.BackfillPolicy.single_run())
    def some() -> dg.MaterializeResult[None]:
        if fails:
            raise dg.Failure("not today", allow_retries=False)
        return dg.MaterializeResult()

    tags = range_tags(first, last)
    return dg.materialize([some], instance=instance, tags=tags, run_config=QUIET, raise_on_error=False).run_id


def failed(instance: dg.DagsterInstance) -> list[str]:
    """What Dagster shows as failed when it sums all events up anew."""
    log(instance).wipe_asset_cached_status(KEY)
    status = get_and_update_asset_status_cache_value(instance, KEY, PARTITIONS.day_tenant)
    assert status is not None
    return sorted(status.deserialize_failed_partition_subsets(PARTITIONS.day_tenant).get_partition_keys())


def log(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    return storage


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
