"""Planning retention over seven years of fifty tenants: seconds and peak memory. `python -m benchmarks.retention`.

Every raw stream has an object per day and tenant (894,600 in all), and the warehouse a row for each. The files are
empty: what is measured is walking and judging them. Planning runs in a process of its own, so its memory is its own.

The lake is put into memory where the machine has a file system there: 1.8 million files and folders are made and
removed, and a disk that is told of each block that becomes free (ext4's `discard`) takes half an hour for that.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import sys
import time
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.governance.retention.objects import Family, LakeObjects, in_partition
from analytics_platform.governance.retention.plan import draw_plan
from analytics_platform.governance.retention.tables import WarehouseTables
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from benchmarks.measuring import held

IN_MEMORY = Path("/dev/shm")
MAX_SECONDS = 60.0
MAX_MB = 1024.0
TODAY = date(2026, 11, 27)


def catalog_of(tenants: int) -> Catalog:
    """The catalogue with so many tenants, whose financial years end at different times."""
    catalog = load_catalog()
    base = next(iter(catalog.tenants.values()))
    ends = ("12-31", "03-31", "06-30", "02-28")
    made = {
        f"tenant-{n:03}": base.model_copy(
            update={"tenant_id": f"tenant-{n:03}", "financial_year_end": ends[n % 4], "write_keys": ()}
        )
        for n in range(tenants)
    }
    declared = {name: getattr(catalog, name) for name in Catalog.model_fields}
    return Catalog.model_validate({**declared, "tenants": made})


def fill(root: Path, catalog: Catalog, days: list[date]) -> int:
    """Make the lake's files and the warehouse's rows; answer the number of raw objects."""
    count = 0
    for stream in catalog.streams:
        for day in days:
            folder = root / "lake" / "raw" / stream / f"day={day}"
            folder.mkdir(parents=True)
            for tenant in catalog.tenants:
                place = f"{folder}/tenant={tenant}"
                os.mkdir(place)  # noqa: PTH102 - a million times
                os.close(os.open(f"{place}/events.parquet", os.O_CREAT))
                count += 1
    tenants = list(catalog.tenants)
    rows = pa.table(
        {
            "day": pa.array([day for day in days for _ in tenants], pa.date32()),
            "tenant_id": pa.array(tenants * len(days), pa.string()),
        }
    )
    warehouse = DuckDBWarehouse(root / "warehouse.duckdb")
    for stream in catalog.streams:
        numbered = rows.append_column("message_id", pc.cast(pa.array(range(rows.num_rows)), pa.string()))
        warehouse.replace_table(f"raw.{stream}", numbered)
    return count


@dataclass(frozen=True)
class Planned:
    """What it took to draw a plan, and what stands in it."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    targets: int
    units: int


def planned(root: Path, tenants: int) -> Planned:
    """Draw a plan."""
    catalog = catalog_of(tenants)
    families = [Family(f"raw.{stream}", f"raw/{stream}/", in_partition) for stream in catalog.streams]
    sinks = [
        LakeObjects(LocalStore(root / "lake"), families, list(catalog.streams)),
        WarehouseTables(DuckDBWarehouse(root / "warehouse.duckdb"), catalog),
    ]
    started, cpu_before = time.perf_counter(), time.process_time()
    plan = draw_plan(catalog, sinks, [], TODAY, "benchmark")
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Planned(seconds, cpu, peak, len(plan.targets), plan.units)


def main() -> int:
    """Command line: exit code 1 when a plan takes longer or more memory than its bounds."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--years", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=IN_MEMORY if IN_MEMORY.is_dir() else None)
    arguments = parser.parse_args()
    last = TODAY - timedelta(days=1)
    days = [last - timedelta(days=n) for n in range(365 * arguments.years + arguments.years // 4)]
    with TemporaryDirectory(prefix="analytics-bench-", dir=arguments.folder) as name:
        root = Path(name)
        objects = fill(root, catalog_of(arguments.tenants), sorted(days))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            plan = pool.apply(planned, (root, arguments.tenants))
    print(f"{objects:,} raw objects and as many rows, {len(days):,} days x {arguments.tenants} tenants")
    print(f"planned {plan.units:,} units in {plan.targets} targets")
    bars = [held("planned, s wall", plan.seconds, MAX_SECONDS), held("peak, MB", plan.peak_mb, MAX_MB)]
    print(f"planned, s CPU {plan.cpu_seconds:.1f}")
    return 0 if all(bars) else 1


if __name__ == "__main__":
    sys.exit(main())
