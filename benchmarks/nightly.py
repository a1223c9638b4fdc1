"""What a night costs: dbt over one day, beside the same SQL run directly in DuckDB, with a short and a long history.

Run: `python -m benchmarks.nightly [--months 24] [--copies 14] [--rounds 5]`. The demo's four tenants are simulated,
taken in through the gate, and copied under other names until there are about five million events. Two questions are
answered: what dbt adds to the SQL (ratio of medians, interleaved), and whether a night grows with the length of history
(the same night after a quarter of the months and after all of them).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.dbt_build import DbtBuild, NodeResult, duckdb_connection
from analytics_platform.defs.loaded import registry_tables, stream_table
from analytics_platform.demo.simulation import simulate
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.schema import LANDING_COLUMNS, RAW_SCHEMA
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import PROJECT_ROOT
from benchmarks.measuring import held

LAST_DAY = date(2025, 12, 31)
DAYS_A_MONTH = 30.4375
MAX_OF_BARE = 4.0
MODELS = "resource_type:model"
SETTINGS = "set TimeZone = 'UTC'; set memory_limit = '1GB'; set threads = 2; set preserve_insertion_order = false"


@dataclass
class Cost:
    """Wall and CPU seconds of each round."""

    wall: list[float]
    cpu: list[float]

    def text(self) -> str:
        """Medians."""
        return f"{statistics.median(self.wall):6.2f} s wall, {statistics.median(self.cpu):6.2f} s CPU"


def many_tenants(catalog: Catalog, copies: int) -> Catalog:
    """The catalogue with each demo tenant registered `copies` times, under numbered names after the first."""
    tenants = [
        tenant.model_copy(update={"tenant_id": copy_name(tenant.tenant_id, number)})
        for tenant in catalog.tenants.values()
        for number in range(copies)
    ]
    return catalog.model_copy(update={"tenants": {tenant.tenant_id: tenant for tenant in tenants}})


def copy_name(tenant: str, number: int) -> str:
    """The id of a tenant's numbered copy."""
    return f"{tenant}-{number}" if number else tenant


def land(catalog: Catalog, first: date, last: date, folder: Path) -> Path:
    """Simulate and import; the lake's root folder."""
    simulate(catalog, seed=11, first_day=first, last_day=last, folder=folder / "events")
    store, keys = LocalStore(folder / "lake"), IdentityKeys(folder / "identity_keys.json")
    import_paths([folder / "events"], catalog=catalog, store=store, identities=keys, history_start=first)
    return folder / "lake"


def load(warehouse: Path, lake: Path, catalog: Catalog, copies: int) -> int:
    """Fill the raw tables with the landed messages of every tenant and its copies; the number of rows."""
    rows = 0
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(SETTINGS + "; create schema raw")
        columns = ", ".join(f"{name}: '{kind}'" for name, kind in LANDING_COLUMNS.items())
        connection.execute(
            f"create temp table landed as select distinct on (tenant_id, message_id) * from read_json("
            f"'{lake}/landing/**/*.zst', format = 'newline_delimited', columns = {{{columns}}})"
        )
        for name, table in registry_tables(catalog).items():
            connection.register("registry", table)
            connection.execute(f"create table raw.{name} as select * from registry")
        for stream in catalog.streams:
            selected = ", ".join(_copied(name) for name in RAW_SCHEMA.names)
            connection.execute(
                f"create table {stream_table(stream)} as select {selected} from landed "
                f"cross join range({copies}) as copies(n) where stream = '{stream}' order by day, tenant_id"
            )
            rows += connection.execute(f"select count(*) from {stream_table(stream)}").fetchall()[0][0]
    return rows


def _copied(name: str) -> str:
    copy = "case n when 0 then tenant_id else tenant_id || '-' || n end"
    if name == "tenant_id":
        return f"{copy} as tenant_id"
    if name == "properties":
        return f"replace(properties::varchar, '\"' || tenant_id || '\"', '\"' || ({copy}) || '\"') as properties"
    cast = {"JSON": "::varchar", "TIMESTAMP": "::timestamptz"}.get(LANDING_COLUMNS[name], "")
    return f"{name}{cast} as {name}"


def bare_statements(dbt: DbtBuild, day: date) -> list[str]:
    """The SQL of the day's models in an order in which they can run, as plain statements."""
    days = json.dumps({"start_day": day.isoformat(), "end_day": day.isoformat()})
    built = dbt._invoke(["build", "--vars", days, "--no-write-json", "--select", MODELS]).results
    return [
        _bare(result.node) for result in built if result.node.resource_type == "model" and result.node.compiled_code
    ]


def _bare(node: Any) -> str:
    table, kind, sql = f"{node.schema}.{node.alias}", node.config.materialized, node.compiled_code
    if kind != "incremental":
        return f"create or replace {kind} {table} as {sql}"
    return f"create or replace temp table built as {sql}; insert into {table} by name select * from built"


def run_bare(warehouse: Path, statements: list[str]) -> None:
    """Run the SQL in one transaction that is taken back, so that every round finds the same warehouse."""
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(SETTINGS)
        connection.begin()
        for statement in statements:
            connection.execute(statement)
        connection.rollback()


def build(dbt: DbtBuild, first: date, last: date, select: str = MODELS) -> list[NodeResult]:
    """Build days through dbt; what fails ends the benchmark."""
    results = dbt.build(first, last, select=[select])
    broken = [result for result in results if result.failed or result.skipped]
    if broken:
        raise SystemExit("\n".join(f"{result.unique_id} {result.status}: {result.message}" for result in broken))
    return results


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def night(dbt: DbtBuild, warehouse: Path, day: date, rounds: int) -> tuple[Cost, Cost]:
    """Build one day by dbt and by bare SQL, in turns."""
    statements = bare_statements(dbt, day)
    through_dbt, bare = Cost([], []), Cost([], [])
    for _ in range(rounds):
        for cost, work in (
            (through_dbt, lambda: build(dbt, day, day)),
            (bare, lambda: run_bare(warehouse, statements)),
        ):
            wall, cpu = measured(work)
            cost.wall.append(wall)
            cost.cpu.append(cpu)
    return through_dbt, bare


def pairs(one: Cost, other: Cost) -> list[tuple[list[float], list[float]]]:
    """Wall times of both, CPU times of both."""
    return [(one.wall, other.wall), (one.cpu, other.cpu)]


def slowest(results: Sequence[NodeResult]) -> str:
    """The models that took longest in a build."""
    top = sorted(results, key=lambda result: -result.seconds)[:8]
    return ", ".join(f"{result.unique_id.split('.')[-1]} {result.seconds:.2f} s" for result in top)


def report(dbt: DbtBuild, warehouse: Path, history_start: date, first: date, day: date, rounds: int) -> float:
    """Build the history to `day`, then measure and print the night of `day`; dbt's CPU as a multiple of the SQL's."""
    seconds, _ = measured(lambda: build(dbt, first, day))
    through_dbt, bare = night(dbt, warehouse, day, rounds)
    print(f"night after {(day - history_start).days + 1} days of history ({seconds:.0f} s to build the last of it)")
    print(f"  dbt       {through_dbt.text()}")
    print(f"  bare SQL  {bare.text()}")
    wall, cpu = (statistics.median(ours) / statistics.median(floor) for ours, floor in pairs(through_dbt, bare))
    print(f"  ratio     {wall:6.2f} of wall time, {cpu:.2f} of CPU")
    print(f"  slowest   {slowest(build(dbt, day, day))}")
    return cpu


def main(months: int, copies: int, rounds: int) -> int:
    """Print one block for the short history and one for the long; exit code 1 when the long one misses the bar."""
    last, span = LAST_DAY, round(months * DAYS_A_MONTH)
    first = last - timedelta(days=span - 1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        catalog = load_catalog()
        lake = land(catalog, first, last, folder)
        warehouse = folder / "warehouse.duckdb"
        dbt = DbtBuild(PROJECT_ROOT / "dbt", duckdb_connection(warehouse), folder / "dbt")
        rows = load(warehouse, lake, many_tenants(catalog, copies), copies)
        print(f"{rows:,} events of {copies * len(catalog.tenants)} tenants over {months} months")
        build(dbt, first, first, "resource_type:seed")
        middle = first + timedelta(days=span // 4)
        report(dbt, warehouse, first, first, middle, rounds)
        times = report(dbt, warehouse, first, middle + timedelta(days=1), last, rounds)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB, pid {os.getpid()}")
    return 0 if held("dbt, times the bare SQL, of CPU", times, MAX_OF_BARE) else 1


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--months", type=int, default=24)
    arguments.add_argument("--copies", type=int, default=14)
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    sys.exit(main(chosen.months, chosen.copies, chosen.rounds))
