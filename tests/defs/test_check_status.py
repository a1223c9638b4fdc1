"""How checks stand is what Dagster's own way comes to, with less work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.storage.asset_check_state import AssetCheckState, bulk_update_asset_check_state
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._record import copy

from analytics_platform.defs import check_status
from analytics_platform.defs.event_batches import wipe_partitions
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import TENANT_PARTITIONS, partitions_from
from analytics_platform.settings import Settings

RAW, LEDGER = dg.AssetKey(["raw", "billing"]), dg.AssetKey(["ops", "ledger"])
PARTITIONS = partitions_from(date(2026, 1, 1), "Europe/Amsterdam")
DEFINITIONS = {RAW: PARTITIONS.day_tenant, LEDGER: PARTITIONS.day}
NAME = "rows_add_up"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=tmp_path_factory.mktemp("status"))) as instance:
        instance.add_dynamic_partitions(TENANT_PARTITIONS, ["a", "b"])
        yield instance


@pytest.fixture(params=[RAW, LEDGER], ids=["day x tenant", "day"])
def asset(request: pytest.FixtureRequest, opened: dg.DagsterInstance) -> dg.AssetKey:
    """An asset to which nothing has happened yet."""
    key = request.param
    assert isinstance(key, dg.AssetKey)
    opened.wipe_assets([key])
    return key


def of(asset: dg.AssetKey, day: str) -> str:
    return f"{day}|a" if asset == RAW else day


def planned(instance: dg.DagsterInstance, asset: dg.AssetKey, day: str) -> str:
    """A run that is going to evaluate the check and has not ended."""
    run = dg.DagsterRun(job_name="ingest", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(run)
    subset = DEFINITIONS[asset].subset_with_partition_keys([of(asset, day)]).to_serializable_subset()
    event = DagsterEvent(
        event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
        job_name="ingest",
        event_specific_data=AssetCheckEvaluationPlanned(asset_key=asset, check_name=NAME, partitions_subset=subset),
    )
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def built(instance: dg.DagsterInstance, asset: dg.AssetKey, *days: str) -> None:
    for day in days:
        instance.report_runless_asset_event(dg.AssetMaterialization(asset, partition=of(asset, day)))


def evaluated(instance: dg.DagsterInstance, asset: dg.AssetKey, *days: str, passed: bool = True) -> None:
    run = dg.DagsterRun(job_name="ingest", status=dg.DagsterRunStatus.SUCCESS)
    instance.add_run(run)
    for day in days:
        evaluation = dg.AssetCheckEvaluation(
            asset_key=asset, check_name=NAME, passed=passed, partition=of(asset, day), metadata={}
        )
        event = DagsterEvent(
            event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value,
            job_name="ingest",
            event_specific_data=targeted(instance, evaluation),
        )
        instance.report_dagster_event(event, run.run_id)


def targeted(instance: dg.DagsterInstance, evaluation: dg.AssetCheckEvaluation) -> dg.AssetCheckEvaluation:
    """The evaluation of what is built of its partition."""
    wanted = dg.AssetRecordsFilter(evaluation.asset_key, asset_partitions=[str(evaluation.partition)])
    (newest,) = instance.fetch_materializations(wanted, limit=1).records
    target = AssetCheckEvaluationTargetMaterializationData(
        storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp
    )
    return copy(evaluation, target_materialization_data=target)


def told(state: AssetCheckState) -> dict[str, list[str]]:
    return {
        status.value: sorted(subset.subset_value.get_partition_keys())
        for status, subset in state.subsets.items()
        if not subset.is_empty
    }


def stand(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[str, list[str]]:
    """What our storage says, and that Dagster says the same from all evaluations."""
    key, storage = dg.AssetCheckKey(asset, NAME), instance.event_log_storage
    newest = storage.get_latest_asset_check_execution_by_key([key])
    assert newest == SqlEventLogStorage.get_latest_asset_check_execution_by_key(storage, [key])
    asked = [(key, DEFINITIONS[asset])]
    state = storage.get_asset_check_state(asked)[key]
    with partition_loading_context(None, instance):
        anew = bulk_update_asset_check_state(instance, asked, {key: AssetCheckState.empty()})[key]
    assert told(state) == told(anew)
    return told(state)


def test_after_each_thing_that_happens_checks_stand_as_dagster_says(
    opened: dg.DagsterInstance, asset: dg.AssetKey
) -> None:
    assert stand(opened, asset) == {}
    built(opened, asset, "2026-01-01", "2026-01-02", "2026-01-03")
    evaluated(opened, asset, "2026-01-01", "2026-01-03")
    evaluated(opened, asset, "2026-01-02", passed=False)
    first, second, third = (of(asset, f"2026-01-0{n}") for n in (1, 2, 3))
    assert stand(opened, asset) == {"SUCCEEDED": [first, third], "FAILED": [second]}
    evaluated(opened, asset, "2026-01-02")
    assert stand(opened, asset) == {"SUCCEEDED": [first, second, third]}
    built(opened, asset, "2026-01-03")
    assert stand(opened, asset) == {"SUCCEEDED": [first, second]}


def test_a_run_that_has_broken_off_leaves_its_checks_as_failed(opened: dg.DagsterInstance, asset: dg.AssetKey) -> None:
    built(opened, asset, "2026-01-01")
    evaluated(opened, asset, "2026-01-01")
    run_id = planned(opened, asset, "2026-01-01")
    assert stand(opened, asset) == stand(opened, asset) == {"IN_PROGRESS": [of(asset, "2026-01-01")]}
    run = opened.get_run_by_id(run_id)
    assert run is not None
    opened.report_run_failed(run)
    assert stand(opened, asset) == stand(opened, asset) == {"EXECUTION_FAILED": [of(asset, "2026-01-01")]}


def test_removed_partitions_are_taken_out(opened: dg.DagsterInstance, asset: dg.AssetKey) -> None:
    built(opened, asset, "2026-01-01", "2026-01-02")
    evaluated(opened, asset, "2026-01-01", "2026-01-02")
    assert stand(opened, asset) != {}
    storage = opened.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    wipe_partitions(storage, asset, [of(asset, "2026-01-01")])
    assert stand(opened, asset) == {"SUCCEEDED": [of(asset, "2026-01-02")]}


def test_only_what_is_new_is_read_again(
    opened: dg.DagsterInstance, asset: dg.AssetKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    built(opened, asset, "2026-01-01", "2026-01-02")
    evaluated(opened, asset, "2026-01-01", "2026-01-02")
    stand(opened, asset)
    storage = opened.event_log_storage
    asked: list[Any] = []
    key = dg.AssetCheckKey(asset, NAME)
    whole = storage.get_asset_check_partition_info

    def noted(keys: Any, after: Any = None, partition_keys: Any = None) -> Any:
        asked.append(partition_keys)
        return whole(keys, after, partition_keys)

    monkeypatch.setattr(storage, "get_asset_check_partition_info", noted)
    storage.get_asset_check_state([(key, DEFINITIONS[asset])])
    assert asked == []
    evaluated(opened, asset, "2026-01-02", passed=False)
    storage.get_asset_check_state([(key, DEFINITIONS[asset])])
    assert asked == [[of(asset, "2026-01-02")]]


def test_checks_of_whole_assets_are_dagsters_business(opened: dg.DagsterInstance) -> None:
    key = dg.AssetCheckKey(dg.AssetKey("whole"), NAME)
    opened.report_runless_asset_event(dg.AssetCheckEvaluation(key.asset_key, NAME, passed=True, metadata={}))
    state = opened.event_log_storage.get_asset_check_state([(key, None)])[key]
    assert [status.value for status, subset in state.subsets.items() if not subset.is_empty] == ["SUCCEEDED"]


def test_sums_survive_being_written() -> None:
    sums = {NAME: check_status.CheckSum("days", 7, 8, {"SUCCEEDED": "{}"}, {"run": "{}"})}
    assert check_status.read(check_status.written(sums)) == sums
