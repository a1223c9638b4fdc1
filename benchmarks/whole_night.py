"""What a whole night costs: a closed day from landing to pages, after two years of history of more than fifty tenants.

Run: `python -m benchmarks.whole_night --home FOLDER [--months 24] [--copies 14] [--nights 1]`. The first call prepares
the folder, which takes long: the demo's four tenants are simulated and copied under other names until there are some
five million events; all days but the last go straight into the warehouse's raw tables and are built by the graph, the
last one lands through the gate. What is measured works on a copy: the runs of a night in this process, with the time
within each step's function, and what the rest of the runs took.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import orjson

from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.alerts import QUIET
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.loaded import stream_table
from analytics_platform.defs.manifest import ensure_manifest
from analytics_platform.defs.partitions import TENANT_PARTITIONS, Rectangle, range_tags
from analytics_platform.defs.resources import identity_keys_from
from analytics_platform.demo.simulation import simulate
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from benchmarks.hourly import Work, lines_of, taken_in, tenants_file
from benchmarks.nightly import DAYS_A_MONTH, LAST_DAY, load

DAYS_A_RUN = 366
"""History is built in spans: years, as a person would."""

SLOWEST = 25


class Prepared:
    """A folder with a home that lacks one night: its settings, and what its tenants are called."""

    def __init__(self, folder: Path, months: int, copies: int) -> None:
        self.folder, self.copies = folder, copies
        self.first = LAST_DAY - timedelta(days=round(months * DAYS_A_MONTH) - 1)
        self.demo = load_catalog()
        folder.mkdir(parents=True, exist_ok=True)
        self.file, self.names = tenants_file(self.demo, copies * len(self.demo.tenants), folder)

    def settings(self, home: Path) -> Settings:
        """Those of the home, or of a copy of it."""
        return Settings(home=home, history_start=self.first, tenants_file=self.file)

    @property
    def tenants(self) -> list[str]:
        """All of them, copies beside their model."""
        return [name for copies in self.names.values() for name in copies]


def prepare(given: Prepared) -> Path:
    """The home without its last night, made where it is not there yet."""
    home = given.folder / "home"
    if home.exists():
        return home
    unfinished = given.folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    settings = given.settings(unfinished)
    _bring_in(given, settings)
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions(TENANT_PARTITIONS, given.tenants)
        _build_history(settings, instance, given.first, LAST_DAY - timedelta(days=1))
    unfinished.rename(home)
    return home


def _bring_in(given: Prepared, settings: Settings) -> None:
    """History into the warehouse, the last day into the landing."""
    events, scratch = given.folder / "events", given.folder / "scratch"
    simulate(given.demo, seed=11, first_day=given.first, last_day=LAST_DAY, folder=events)
    store, secrets = LocalStore(scratch), identity_keys_from(settings)
    import_paths([events], catalog=given.demo, store=store, identities=secrets, history_start=given.first)
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    rows = load(settings.home / "warehouse.duckdb", scratch, catalog, given.copies)
    with duckdb.connect(str(settings.home / "warehouse.duckdb")) as connection:
        for stream in catalog.streams:
            connection.execute(f"delete from {stream_table(stream)} where day >= ?", [LAST_DAY])
    said(f"{rows:,} events of {len(given.tenants)} tenants from {given.first} to {LAST_DAY}")
    ids = {
        orjson.loads(line)["message_id"]
        for path in scratch.glob(f"landing/day={LAST_DAY}/**/*.zst")
        for line in lines_of(path)
    }
    _land(given, settings, ids)
    shutil.rmtree(scratch)


def _land(given: Prepared, settings: Settings, ids: set[str]) -> None:
    """The last day's messages of every tenant, through the gate."""
    path = settings.home / "day.ndjson"
    with path.open("wb") as file:
        for model, names in given.names.items():
            lines = [
                line for source in sorted((given.folder / "events" / model).iterdir()) for line in lines_of(source)
            ]
            of_day = [line for line in lines if orjson.loads(line)["messageId"] in ids]
            for name in names:
                file.writelines(line.replace(model.encode(), name.encode()) + b"\n" for line in of_day)
    report = taken_in(settings, path)
    path.unlink()
    said(f"{report.accepted:,} events landed for {LAST_DAY}, {report.dead_lettered} refused: {report.reasons}")


def _build_history(settings: Settings, instance: dg.DagsterInstance, first: date, last: date) -> None:
    """What nights would have left: staging, marts, KPI tables and extracts of every day but the last."""
    ensure_manifest(settings)
    definitions = build_definitions(settings)
    job = definitions.resolve_job_def(jobs.BUILD)
    every = job.asset_layer.executable_asset_keys
    whole = [key for key in every if keys.layer(key) == "reference" or key.path[-1] in keys.REGISTRY_TABLES]
    days = [key for key in every if keys.layer(key) in ("staging", *jobs.FIGURE_LAYERS)]
    run(definitions, instance, jobs.BUILD, range_tags(first.isoformat(), first.isoformat()), whole)
    while first <= last:
        end = min(last, first + timedelta(days=DAYS_A_RUN - 1))
        seconds = time.perf_counter()
        run(definitions, instance, jobs.BUILD, range_tags(first.isoformat(), end.isoformat()), days)
        said(f"history from {first} to {end} built in {time.perf_counter() - seconds:.0f} s")
        first = end + timedelta(days=1)


def run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    tags: dict[str, str],
    selection: Sequence[dg.AssetKey] | None = None,
) -> dg.ExecuteInProcessResult:
    """One run in this process; what fails ends the benchmark."""
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance, tags=tags, run_config=QUIET, raise_on_error=False, asset_selection=selection
    )
    if not result.success:
        broken = [event.message for event in result.all_events if event.is_failure]
        raise SystemExit(f"{job} failed: {'; '.join(broken)}")
    return result


@contextmanager
def copied(home: Path) -> Iterator[Path]:
    """A copy to work on, beside it: the files are large."""
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        yield Path(shutil.copytree(home, Path(scratch) / "home"))


def measure(given: Prepared, home: Path, work: Work) -> None:
    """The runs of one night, one line each, and the steps that took longest."""
    settings = given.settings(home)
    definitions = build_definitions(settings)
    day = Rectangle(LAST_DAY, LAST_DAY, tuple(given.tenants))
    whole = range_tags(LAST_DAY.isoformat(), LAST_DAY.isoformat())
    started, used = time.perf_counter(), time.process_time()
    work.steps.clear()
    with open_instance(settings) as instance:
        for job, tags in ((jobs.INGEST, day.tags), (jobs.BUILD, whole), (jobs.PUBLISH, whole)):
            wall, cpu, within = time.perf_counter(), time.process_time(), work.cpu
            result = run(definitions, instance, job, tags)
            events = len(instance.all_logs(result.run_id))
            spent = time.process_time() - cpu
            said(
                f"{job:8} {time.perf_counter() - wall:7.1f} s wall {spent:7.1f} s CPU, of it "
                f"{work.cpu - within:6.1f} s in steps; {events:6,} events; peak so far {peak():,.0f} MB"
            )
    said(f"night    {time.perf_counter() - started:7.1f} s wall {time.process_time() - used:7.1f} s CPU")
    _tell_steps(work.steps)


def _tell_steps(steps: Counter[str]) -> None:
    for name, seconds in steps.most_common(SLOWEST):
        said(f"  {seconds:7.2f} s CPU  {name}")
    said(f"  {sum(steps.values()):7.2f} s CPU  in {len(steps)} steps")


def peak() -> float:
    """The most memory that this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def said(line: str) -> None:
    """Told at once: preparing takes long."""
    print(line, flush=True)


def main(given: Prepared, nights: int) -> None:
    """Prepare, then measure each night on a fresh copy."""
    home, work = prepare(given), Work()
    for _ in range(nights):
        with copied(home) as scratch:
            measure(given, scratch, work)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--home", type=Path, required=True, help="folder of the prepared home; made where it is not")
    arguments.add_argument("--months", type=int, default=24)
    arguments.add_argument("--copies", type=int, default=14)
    arguments.add_argument("--nights", type=int, default=1)
    chosen = arguments.parse_args()
    main(Prepared(chosen.home.resolve(), chosen.months, chosen.copies), chosen.nights)
