"""CPU per event of import and of landing to raw, beside the floor of the same run: `python -m benchmarks.ingest`.

The floor is what no design can avoid: parse the landed JSON and write zstd Parquet, in two ways (DuckDB alone; DuckDB
to Arrow to Parquet with the options of raw), of which the cheaper counts. Neither floor sorts, de-duplicates, splits by
partition or syncs. Floor and build take turns, medians are reported, and each step runs in a process of its own, so
that its CPU time and its peak memory are its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from analytics_platform.catalog import load_catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.layout import LANDING_PREFIX
from analytics_platform.lake.merge import connected
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.schema import DICTIONARY_COLUMNS, IDENTIFIERS, JSON_COLUMNS, LANDING_COLUMNS, RAW_SCHEMA
from analytics_platform.lake.store import LocalStore
from benchmarks.messages import write_file

MAX_RATIO = 2.2
# What a busy tenant sends in a day; partitions far smaller cost what an object costs, which is told apart.
_LINES_PER_PARTITION = 10_000
_ROUNDS = 5
_BATCH_ROWS = 50_000
_LAKE = "lake"
_KEYS = "identity_keys.json"


@dataclass(frozen=True)
class Measured:
    """One step: CPU seconds (user and system, all threads), wall seconds, peak resident memory in MB."""

    cpu: float
    wall: float
    peak_mb: float


def _import(folder: Path) -> None:
    keys = IdentityKeys(folder / _KEYS)
    report = import_paths(
        [folder / "messages.zst"], catalog=load_catalog(), store=LocalStore(folder / _LAKE), identities=keys
    )
    assert report.read == report.accepted + report.duplicates + report.dead_lettered


def _build(folder: Path) -> None:
    store = LocalStore(folder / _LAKE)
    shutil.rmtree(store.root / "raw", ignore_errors=True)
    shutil.rmtree(store.root / "identities", ignore_errors=True)
    take = IdentitiesTable(store, IdentityKeys(folder / _KEYS)).take
    build_partitions(store, streams=list(load_catalog().streams), partitions=landed_partitions(store), identifiers=take)


def _floor_duckdb(folder: Path) -> None:
    with connected() as connection:
        target = "(format parquet, compression zstd, compression_level 1)"
        connection.execute(f"copy ({_parse(folder)}) to '{folder / 'floor.parquet'}' {target}")


def _floor_arrow(folder: Path) -> None:
    with connected() as connection:
        reader = connection.sql(_parse(folder)).to_arrow_reader(_BATCH_ROWS)
        schema = RAW_SCHEMA.insert(2, reader.schema.field("stream"))
        options = {"compression": "zstd", "use_dictionary": ["stream", *DICTIONARY_COLUMNS], "store_schema": False}
        with pq.ParquetWriter(folder / "floor.parquet", schema, **options) as writer:
            for batch in reader:
                writer.write_batch(batch.cast(schema))


def _parse(folder: Path) -> str:
    """The landed lines as a query, parsed into the columns of raw."""
    objects = [info.key for info in LocalStore(folder / _LAKE).list(LANDING_PREFIX)]
    paths = ", ".join(f"'{folder / _LAKE / key}'" for key in objects)
    types = ", ".join(f"{name}: '{kind}'" for name, kind in LANDING_COLUMNS.items())
    columns = ", ".join(
        f"{name}::varchar as {name}" if name in JSON_COLUMNS else name
        for name in LANDING_COLUMNS
        if name != IDENTIFIERS
    )
    return (
        f"select {columns} from read_json([{paths}], format = 'newline_delimited', compression = 'zstd', "
        f"maximum_object_size = 1048576, columns = {{{types}}})"
    )


def _measured(step: Callable[[Path], None], folder: Path) -> Measured:
    """Run a step in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (step, folder))


def _timed(step: Callable[[Path], None], folder: Path) -> Measured:
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    step(folder)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Measured(cpu, wall, after.ru_maxrss / 1024)


def _median(steps: list[Measured]) -> Measured:
    return Measured(
        statistics.median(step.cpu for step in steps),
        statistics.median(step.wall for step in steps),
        max(step.peak_mb for step in steps),
    )


def _told(name: str, step: Measured, events: int, floor: Measured | None = None) -> None:
    ratio = f"  {step.cpu / floor.cpu:5.2f} x floor" if floor else ""
    per_event = step.cpu / events * 1e6
    print(f"{name:<28}{per_event:8.2f} us/event CPU  {step.wall:7.2f} s  {step.peak_mb:6.0f} MB peak{ratio}")


def run(events: int, rounds: int) -> float:
    """Measure, print, and return the ratio of landing-to-raw to its floor."""
    catalog = load_catalog()
    with TemporaryDirectory(prefix="analytics-bench-") as name:
        folder = Path(name)
        days = max(events // (len(catalog.tenants) * _LINES_PER_PARTITION), 1)
        write_file(folder / "messages.zst", catalog, events=events, days=days)
        imported = _measured(_import, folder)
        steps: dict[Callable[[Path], None], list[Measured]] = {_floor_duckdb: [], _floor_arrow: [], _build: []}
        for _ in range(rounds):
            for step, taken in steps.items():
                taken.append(_measured(step, folder))
    floors = [_median(steps[_floor_duckdb]), _median(steps[_floor_arrow])]
    floor, built = min(floors, key=lambda step: step.cpu), _median(steps[_build])
    partitions = len(catalog.tenants) * days
    print(f"{events:,} messages, {partitions} day x tenant partitions, median of {rounds} rounds")
    _told("floor: DuckDB alone", floors[0], events)
    _told("floor: DuckDB, Arrow, Parquet", floors[1], events)
    _told("landing to raw", built, events, floor)
    _told("import (once)", imported, events, floor)
    return built.cpu / floor.cpu


def main() -> int:
    """Command line: exit code 1 when landing-to-raw costs more than its bound."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    arguments = parser.parse_args()
    ratio = run(arguments.events, arguments.rounds)
    print(f"landing to raw at {ratio:.2f} of at most {MAX_RATIO} times the floor")
    return 0 if ratio <= MAX_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
