"""What a partition costs in Dagster's event log: the stock storages beside ours, in one run.

Run: `python -m benchmarks.event_log [partitions]`. Prints milliseconds per (asset, partition), planned and
materialization event together, for a run over a range of days of assets that do nothing. The stock ones are measured
with batches as well. PostgreSQL is a server of the tests', on a socket of this machine, whose commits are not synced.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from analytics_platform.defs.instance import EVENT_BATCH_SIZE, instance_config, write_instance_config
from analytics_platform.defs.partitions import range_tags
from analytics_platform.settings import Settings
from benchmarks.measuring import held
from tests.postgres import running_postgres

FIRST = date(2025, 1, 1)
MAX_MS = 3.0
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


@dataclass(frozen=True)
class Cost:
    """Milliseconds per (asset, partition)."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:6.2f} ms per (asset, partition), {self.cpu:.2f} of them this process's CPU"


def cost(home: Path, *, batch_size: int, days: int, assets: int = 4) -> Cost:
    """Materialize a range in one run of an instance, and divide the time."""
    os.environ["DAGSTER_EVENT_BATCH_SIZE"] = str(batch_size)
    tags = range_tags(FIRST.isoformat(), (FIRST + timedelta(days=days - 1)).isoformat())
    with dg.DagsterInstance.from_config(str(home)) as instance:
        started, worked = time.perf_counter(), time.process_time()
        dg.materialize([idle_assets(assets)], instance=instance, tags=tags, run_config=QUIET)
        per = 1000 / (days * assets)
        return Cost((time.perf_counter() - started) * per, (time.process_time() - worked) * per)


def main(days: int) -> int:
    """Print three lines per database; exit code 1 when the embedded one misses the bar."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        embedded = compare("SQLite", home / "stock", {}, Settings(home=home / "ours"), days)
        try:
            with running_postgres() as server:
                stock = Settings(home=home / "stock-shared", **server.database("stock"))
                ours = Settings(home=home / "ours-shared", **server.database("ours"))
                database = instance_config(stock)["run_storage"]["config"]
                compare("PostgreSQL", stock.home, {"storage": {"postgres": database}}, ours, days)
        except pytest.skip.Exception as why:
            print(f"PostgreSQL: {why}")
    return 0 if held("ms per (asset, partition), embedded", embedded.wall, MAX_MS) else 1


def compare(name: str, stock: Path, config: dict[str, Any], ours: Settings, days: int) -> Cost:
    """Measure the stock storage and ours, each in an instance of its own that has been opened before."""
    stock.mkdir(parents=True)
    (stock / "dagster.yaml").write_text(yaml.safe_dump({"telemetry": {"enabled": False}, **config}))
    write_instance_config(ours)
    for home in (stock, ours.dagster_home):
        cost(home, batch_size=0, days=1)
    single = cost(stock, batch_size=0, days=days)
    batched = cost(stock, batch_size=EVENT_BATCH_SIZE, days=days)
    best = cost(ours.dagster_home, batch_size=EVENT_BATCH_SIZE, days=days)
    print(f"{name:11}stock          {single}")
    print(f"{name:11}stock, batched {batched}")
    print(f"{name:11}ours           {best}; {single.wall / best.wall:.1f} times less wall time")
    return best


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 250))
