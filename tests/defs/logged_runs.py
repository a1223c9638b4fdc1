"""Runs over ranges of partitions, with checks, and what of a storage's rows no two of them share."""

from collections.abc import Iterator, Mapping

import dagster as dg

from analytics_platform.defs.partitions import range_tags

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01")
TENANTS = dg.StaticPartitionsDefinition(["a", "b"])
RUN_ID = "11111111-1111-4111-8111-111111111111"
TABLES = ("event_logs", "asset_keys", "asset_event_tags")


def graph() -> dg.Definitions:
    @dg.multi_asset(specs=[dg.AssetSpec(name, partitions_def=DAYS) for name in ("one", "two")])
    def daily(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        for name in ("one", "two"):
            context.add_asset_metadata({"rows": 7}, asset_key=name, partition_key="2026-01-02")
            yield dg.MaterializeResult(asset_key=name, metadata={"total": 3})

    @dg.asset(
        partitions_def=dg.MultiPartitionsDefinition({"day": DAYS, "tenant": TENANTS}),
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def crossed() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(data_version=dg.DataVersion("v1"))

    @dg.asset_check(asset="one", blocking=True)
    def holds() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True, metadata={"n": 1})

    @dg.asset_check(asset="two")
    def breaks() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False)

    return dg.Definitions(assets=[daily, crossed], asset_checks=[holds, breaks])


QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_in(instance: dg.DagsterInstance, run_id: str = RUN_ID) -> None:
    job = graph().resolve_implicit_global_asset_job_def()
    job.execute_in_process(
        run_config=QUIET,
        instance=instance,
        run_id=run_id,
        asset_selection=[dg.AssetKey("one"), dg.AssetKey("two")],
        tags=range_tags("2026-01-01", "2026-01-20"),
    )
    job.execute_in_process(
        run_config=QUIET,
        instance=instance,
        run_id=run_id[:-1] + "2",
        asset_selection=[dg.AssetKey("crossed")],
        tags=range_tags("2026-01-01|a", "2026-01-10|b"),
    )


def comparable(row: Mapping[str, object]) -> dict[str, object]:
    """A row without the moments and the numbering that no two runs share."""
    moments = {"timestamp", "event", "last_materialization", "evaluation_event", "cached_status_data"}
    return {
        name: value
        for name, value in row.items()
        if name not in moments and not name.endswith(("_timestamp", "storage_id")) and name not in {"id", "event_id"}
    }
