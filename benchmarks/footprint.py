"""What an event costs on its way, in CPU and in bytes, for the sizing guide: `python -m benchmarks.footprint`.

Messages of the benchmarks' mixture pass import, raw, load and dbt's staging layer, at one size and at four times that
size; what each further event adds is the slope between them, what is left over at none is the fixed price. Every step
runs in a process of its own and its CPU seconds count, so that what else the machine does hardly matters. `sizing.yaml`
holds what it printed last.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.dbt_build import DbtBuild, duckdb_connection
from analytics_platform.defs.loaded import registry_tables, stream_table
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import PROJECT_ROOT
from analytics_platform.warehouse import DuckDBWarehouse
from benchmarks.measuring import measured
from benchmarks.messages import FIRST_DAY, write_file

DAYS = 2
GROWTH = 4


@dataclass(frozen=True)
class Footprint:
    """One step at one size: CPU seconds, and bytes of what it left."""

    cpu: float
    size: int


def _import(folder: Path) -> None:
    keys = IdentityKeys(folder / "identity_keys.json")
    import_paths([folder / "messages.zst"], catalog=load_catalog(), store=_lake(folder), identities=keys)


def _raw(folder: Path) -> None:
    store, keys = _lake(folder), IdentityKeys(folder / "identity_keys.json")
    partitions, take = landed_partitions(store), IdentitiesTable(store, keys).take
    build_partitions(store, streams=list(load_catalog().streams), partitions=partitions, identifiers=take)


def _next_hour(folder: Path) -> None:
    """One message more for each day: what is already in raw is read and written again."""
    write_file(folder / "messages.zst", load_catalog(), events=DAYS * 24, days=DAYS, seed=2)
    _import(folder)
    _raw(folder)


def _load(folder: Path) -> None:
    catalog, warehouse = load_catalog(), DuckDBWarehouse(folder / "warehouse.duckdb")
    first, last = FIRST_DAY.date(), FIRST_DAY.date() + timedelta(days=DAYS - 1)
    for table, rows in registry_tables(catalog).items():
        warehouse.replace_table(stream_table(table), rows)
    for stream in catalog.streams:
        warehouse.replace_days(stream_table(stream), scan(_lake(folder), stream, first, last), first, last)


def _staging(folder: Path) -> None:
    dbt = DbtBuild(PROJECT_ROOT / "dbt", duckdb_connection(folder / "warehouse.duckdb"), folder / "dbt")
    first, last = FIRST_DAY.date(), FIRST_DAY.date() + timedelta(days=DAYS - 1)
    failed = [result for result in dbt.build(first, last, select=["staging,resource_type:model"]) if result.failed]
    if failed:
        raise SystemExit("\n".join(f"{each.unique_id}: {each.message}" for each in failed))


STEPS: dict[str, tuple[Callable[[Path], None], str]] = {
    "import": (_import, "lake/landing"),
    "raw": (_raw, "lake/raw"),
    "next_hour": (_next_hour, "lake/raw"),
    "load": (_load, "warehouse.duckdb"),
    "staging": (_staging, "warehouse.duckdb"),
}


def _lake(folder: Path) -> LocalStore:
    return LocalStore(folder / "lake")


def _size(path: Path) -> int:
    return (
        path.stat().st_size
        if path.is_file()
        else sum(each.stat().st_size for each in path.rglob("*") if each.is_file())
    )


def walk(events: int) -> dict[str, Footprint]:
    """Take that many messages through all steps."""
    found = {}
    with TemporaryDirectory(prefix="analytics-bench-") as name:
        folder = Path(name)
        write_file(folder / "messages.zst", load_catalog(), events=events, days=DAYS)
        for step, (work, left) in STEPS.items():
            found[step] = Footprint(measured(work, folder).cpu, _size(folder / left))
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=50_000, help="messages of the smaller size")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    more = arguments.events * (GROWTH - 1)
    rounds = [(walk(arguments.events), walk(arguments.events * GROWTH)) for _ in range(arguments.rounds)]
    for step in STEPS:
        cpu = statistics.median((large[step].cpu - small[step].cpu) / more for small, large in rounds)
        fixed = statistics.median(small[step].cpu for small, _ in rounds) - cpu * arguments.events
        size = statistics.median((large[step].size - small[step].size) / more for small, large in rounds)
        print(f"{step}: {{cpu_us: {cpu * 1e6:.2f}, fixed_cpu_s: {max(fixed, 0):.2f}, bytes: {size:.0f}}}")


if __name__ == "__main__":
    main()
