"""What a partition costs in Dagster's event log: the stock SQLite storage beside ours, in one run.

Run: `python benchmarks/event_log.py [partitions]`. Prints milliseconds per (asset, partition), planned and
materialization event together, for a run over a range of days of assets that do nothing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import dagster as dg

from analytics_platform.defs.instance import EVENT_BATCH_SIZE, write_instance_config

FIRST = date(2025, 1, 1)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def idle_assets(count: int) -> dg.AssetsDefinition:
    """Assets that do nothing, so that what is measured is bookkeeping."""
    days = dg.DailyPartitionsDefinition(start_date=FIRST.isoformat())

    @dg.multi_asset(
        specs=[dg.AssetSpec(f"idle_{n}", partitions_def=days) for n in range(count)],
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def idle():
        for n in range(count):
            yield dg.MaterializeResult(asset_key=f"idle_{n}", metadata={"rows": n})

    return idle


def milliseconds_per_partition(home: Path, *, batch_size: int, days: int, assets: int = 4) -> float:
    """Materialize a range in one run on a fresh instance and divide the wall time."""
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = str(batch_size)
    tags = {
        "dagster/asset_partition_range_start": FIRST.isoformat(),
        "dagster/asset_partition_range_end": (FIRST + timedelta(days=days - 1)).isoformat(),
    }
    with dg.DagsterInstance.from_config(str(home)) as instance:
        started = time.perf_counter()
        dg.materialize([idle_assets(assets)], instance=instance, tags=tags, run_config=QUIET)
        return (time.perf_counter() - started) * 1000 / (days * assets)


def main(days: int) -> None:
    """Print one line per storage."""
    with tempfile.TemporaryDirectory() as stock, tempfile.TemporaryDirectory() as ours:
        Path(stock, "dagster.yaml").write_text("telemetry: {enabled: false}\n")
        write_instance_config(Path(ours))
        before = milliseconds_per_partition(Path(stock), batch_size=0, days=days)
        after = milliseconds_per_partition(Path(ours), batch_size=EVENT_BATCH_SIZE, days=days)
    print(f"stock storage    {before:6.2f} ms per (asset, partition)")
    print(f"batching storage {after:6.2f} ms per (asset, partition), {before / after:.1f} times less")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 250)
