"""What an hour costs: from landed objects to the warehouse, split into the platform's work and Dagster's part of it.

Run: `python -m benchmarks.hourly [--tenants 50 200] [--hours 5]`. Hours of a demo day are landed one after the other,
each for every tenant, through the gate; after each, the runs follow that the schedule and its sensor would ask for: the
stale raw partitions, then the ledger and the loads of their day with all of their checks. Work is the search for what
is stale and what happens within the functions of assets and checks, but for what checks tell Dagster by partition;
everything else is Dagster's: planning, events, contexts. Events are counted in the runs' own logs, off the clock.
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
import zstandard
from dagster._core.execution.plan import compute_generator

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs
from analytics_platform.defs.alerts import QUIET
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.partitions import TENANT_PARTITIONS, range_tags, rectangles
from analytics_platform.defs.resources import identity_keys_from, store_from
from analytics_platform.demo.simulation import simulate
from analytics_platform.intake.importer import ImportReport, import_paths
from analytics_platform.lake.changes import stale_partitions
from analytics_platform.settings import PROJECT_ROOT, Settings
from asset_checks import factory, grouped
from benchmarks.measuring import held
from benchmarks.nightly import copy_name

DAY = date(2026, 3, 3)
HOURS_A_DAY = 24
MANY_TENANTS, MAX_OVERHEAD = 200, 0.25
TENANTS = PROJECT_ROOT / "analytics_platform" / "catalog" / "tenants"


@dataclass(frozen=True)
class Hour:
    """Seconds of one hour's runs, and what they left in the event log."""

    wall: float
    cpu: float
    work_wall: float
    work_cpu: float
    events: int
    partitions: int


class Work:
    """Adds up the time within the functions of assets and checks, and their CPU seconds by step."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0
        self.steps: Counter[str] = Counter()
        plain = compute_generator.invoke_compute_fn

        def invoke(function: Any, context: Any, *arguments: Any, **options: Any) -> Any:
            step = context.op_execution_context.op.name
            answer = self.timed(step, lambda: plain(function, context, *arguments, **options))
            return self._stepwise(step, answer) if isinstance(answer, Iterator) else answer

        compute_generator.invoke_compute_fn = invoke
        for module in (factory, grouped):
            module.report_by_partition = self._told(module.report_by_partition)  # type: ignore[attr-defined]

    def _told(self, report: Callable[..., None]) -> Callable[..., None]:
        """What checks tell Dagster by partition happens within them, and is Dagster's."""

        def told(*arguments: Any, **options: Any) -> None:
            wall, cpu = time.perf_counter(), time.process_time()
            report(*arguments, **options)
            self.wall -= time.perf_counter() - wall
            self.cpu -= time.process_time() - cpu

        return told

    def timed(self, step: str, call: Callable[[], Any]) -> Any:
        """Do some work."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return call()
        finally:
            spent = time.process_time() - cpu
            self.wall += time.perf_counter() - wall
            self.cpu += spent
            self.steps[step] += spent  # type: ignore[assignment]

    def _stepwise(self, step: str, answers: Iterator[Any]) -> Iterator[Any]:
        """What a function yields; what Dagster does with each answer is not its work."""
        over = object()
        while (answer := self.timed(step, lambda: next(answers, over))) is not over:
            yield answer


def tenants_file(catalog: Catalog, count: int, folder: Path) -> tuple[Path, dict[str, list[str]]]:
    """A registry of so many tenants, most of them copies; and each demo tenant's name and those of its copies."""
    names: dict[str, list[str]] = {tenant: [tenant] for tenant in catalog.tenants}
    copies = []
    for number in range(len(catalog.tenants), count):
        tenant = list(catalog.tenants)[number % len(catalog.tenants)]
        declared = yaml.safe_load((TENANTS / f"{tenant}.yaml").read_text())
        copy = copy_name(tenant, number // len(catalog.tenants))
        names[tenant].append(copy)
        own = {
            name: {**key, "sha256": hashlib.sha256(f"demo-{copy}-{name}".encode()).hexdigest()}
            for name, key in declared["write_keys"].items()
        }
        copies.append({**declared, "tenant_id": copy, "name": f"{copy} (copy)", "write_keys": own})
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump(copies, sort_keys=False))
    return path, names


def hours_of(catalog: Catalog, folder: Path) -> dict[str, list[list[bytes]]]:
    """Each demo tenant's messages of the day as they arrive, in as many parts as the day has hours."""
    simulate(catalog, seed=7, first_day=DAY, last_day=DAY, folder=folder / "day")
    hours: dict[str, list[list[bytes]]] = {}
    for tenant in catalog.tenants:
        lines = [line for path in sorted((folder / "day" / tenant).iterdir()) for line in lines_of(path)]
        size = -(-len(lines) // HOURS_A_DAY)
        hours[tenant] = [lines[start : start + size] for start in range(0, len(lines), size)]
    return hours


def lines_of(path: Path) -> list[bytes]:
    """Lines of a compressed file."""
    return zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().splitlines()


def taken_in(settings: Settings, path: Path) -> ImportReport:
    """A file through the gate into a home's landing."""
    return import_paths(
        [path],
        catalog=load_catalog(settings.tenants_file, settings.extension_catalog),
        store=store_from(settings),
        identities=identity_keys_from(settings),
        history_start=settings.history_start,
    )


def land(settings: Settings, names: dict[str, list[str]], messages: dict[str, list[bytes]], hour: int) -> int:
    """Bring an hour's messages of every tenant in; how many were taken."""
    path = settings.home / f"hour-{hour}.ndjson"
    with path.open("wb") as file:
        for tenant, lines in messages.items():
            for name in names[tenant]:
                file.writelines(line.replace(tenant.encode(), name.encode()) + b"\n" for line in lines)
    report = taken_in(settings, path)
    if report.dead_lettered:
        raise SystemExit(f"the gate refused messages: {report.reasons}")
    return report.accepted


def run_hour(
    settings: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance, streams: list[str], work: Work
) -> Hour:
    """The runs that an hour takes, one after the other in this process."""
    wall, cpu, work_wall, work_cpu = time.perf_counter(), time.process_time(), work.wall, work.cpu
    stale = work.timed("stale partitions", lambda: stale_partitions(store_from(settings), streams=streams))
    tenants = list(instance.get_dynamic_partitions(TENANT_PARTITIONS))
    first, last = min(stale)[0].isoformat(), max(stale)[0].isoformat()
    runs = [(jobs.INGEST, rectangle.tags) for rectangle in rectangles(set(stale), tenants)]
    runs.append((jobs.LOAD, range_tags(first, last)))
    done = []
    for job, tags in runs:
        resolved = definitions.resolve_job_def(job)
        result = resolved.execute_in_process(instance=instance, tags=tags, run_config=QUIET, raise_on_error=False)
        if not result.success:
            raise SystemExit(f"{job} failed: see {settings.dagster_home}")
        done.append(result.run_id)
    spent = (time.perf_counter() - wall, time.process_time() - cpu, work.wall - work_wall, work.cpu - work_cpu)
    return Hour(*spent, sum(len(instance.all_logs(run_id)) for run_id in done), len(stale))


def hours(count: int, wanted: int, work: Work) -> list[Hour]:
    """The first hours of a day of so many tenants, after one that warms up."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, catalog = Path(scratch), load_catalog()
        file, names = tenants_file(catalog, count, folder)
        settings = Settings(home=folder / "home", history_start=date(2026, 1, 1), tenants_file=file)
        settings.home.mkdir()
        if not manifest_path(settings).exists():
            build_manifest(settings)
        definitions, parts = build_definitions(settings), hours_of(catalog, folder)
        done = []
        with open_instance(settings) as instance:
            instance.add_dynamic_partitions(TENANT_PARTITIONS, [name for copies in names.values() for name in copies])
            for hour in range(wanted + 1):
                land(
                    settings,
                    names,
                    {tenant: next(islice(each, hour, None), []) for tenant, each in parts.items()},
                    hour,
                )
                done.append(run_hour(settings, definitions, instance, list(catalog.streams), work))
        return done[1:]


def main(tenants: list[int], wanted: int) -> int:
    """One line per number of tenants; exit code 1 when the bar of 200 or more is missed."""
    work, missed = Work(), 0
    for count in tenants:
        found = hours(count, wanted, work)
        wall, cpu, work_cpu, work_wall, events, stale = (
            statistics.median(getattr(hour, name) for hour in found)
            for name in ("wall", "cpu", "work_cpu", "work_wall", "events", "partitions")
        )
        of_cpu, of_wall = (cpu - work_cpu) / cpu, (wall - work_wall) / wall
        print(
            f"{count:4} tenants, {stale:.0f} stale days of tenants: {wall:.1f} s wall, {cpu:.1f} s CPU; of the CPU "
            f"{work_cpu:.1f} s work, {cpu - work_cpu:.1f} s Dagster's ({of_cpu:.0%}; "
            f"{of_wall:.0%} of the wall time); {events:.0f} events, {events * HOURS_A_DAY:,.0f} a day"
        )
        if count >= MANY_TENANTS:
            missed += not held("Dagster's part of the CPU", of_cpu, MAX_OVERHEAD)
            missed += not held("Dagster's part of the wall time", of_wall, MAX_OVERHEAD)
    return 1 if missed else 0


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tenants", type=int, nargs="+", default=[50, 200])
    arguments.add_argument("--hours", type=int, default=5)
    chosen = arguments.parse_args()
    sys.exit(main(chosen.tenants, chosen.hours))
