"""What Dagster's UI takes over years of many tenants: `python -m benchmarks.graph [--years 7] [--tenants 50]`.

The event log is filled as if every partition of raw and of days had been planned, built and checked; then a code
server and a web server of the real graph are started, and sent the queries that the UI sends for its asset graph, the
page of a raw asset, and the dialog that starts a backfill. Each page is asked for once cold (Dagster has no summary of
the partitions yet) and then again. CPU seconds are those of both servers, and of PostgreSQL where it keeps the events.
Some queries of a page the UI sends side by side; here they go one after the other, so a page takes a reader no longer
than what is printed.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import psutil
import yaml

from analytics_platform import catalog as shipped
from analytics_platform.catalog import load_catalog
from analytics_platform.catalog.yaml_file import read_yaml
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.instance import CODE_LOCATION, open_instance, process_environment
from analytics_platform.defs.partitions import TENANT_PARTITIONS, days_between, partitions_from, raw_key
from analytics_platform.settings import PREFIX, Settings, child_environment
from benchmarks.measuring import held
from benchmarks.seeded_events import copy_past, seed, seed_evaluations
from benchmarks.ui_queries import ui_query
from tests.postgres import running_postgres

MAX_SECONDS = 3.0
_LOCATION = "analytics_platform"
_LIVE_BATCH = 10
"""Assets that the UI asks about in one query while it draws the graph (`BATCH_SIZE` of its live data)."""
_MONTH = 31
_START_SECONDS = 120

Query = tuple[str, dict[str, Any]]
"""A query's name and its variables."""


@dataclass(frozen=True)
class Scale:
    """How much history of how many tenants, and of how many streams the partitions are in the event log."""

    years: int
    tenants: int
    streams: int

    @property
    def days(self) -> list[date]:
        """Every day that has a partition, the running one included."""
        today = datetime.now(UTC).date()
        return days_between(today.replace(year=today.year - self.years) + timedelta(days=1), today)

    @property
    def registry(self) -> dict[str, Any]:
        """A file of tenants beside the demo's."""
        known = list(load_catalog().tenants)
        declared = read_yaml(Path(*shipped.__path__) / "tenants" / f"{known[0]}.yaml", known[0])
        base = {name: value for name, value in declared.items() if name not in {"tenant_id", "write_keys"}}
        return {f"tenant-{n:03}": {**base, "write_keys": {}} for n in range(self.tenants - len(known))}


@dataclass(frozen=True)
class Page:
    """A page of the UI and the queries that it takes."""

    name: str
    queries: Sequence[Query]


@dataclass(frozen=True)
class Cost:
    """Seconds."""

    wall: float
    cpu: float


def asset(key: Any) -> dict[str, list[str]]:
    """A key as GraphQL takes it."""
    return {"path": list(key.path)}


def pages(all_assets: Sequence[dict[str, list[str]]], streams: Sequence[str], scale: Scale) -> list[Page]:
    """What is opened."""
    raw = [asset(keys.raw(stream)) for stream in streams]
    tenants = [*load_catalog().tenants, *scale.registry]
    month = [raw_key((day, tenant)) for day in scale.days[-_MONTH:] for tenant in tenants]
    one, newest = {"assetKey": raw[0]}, {"assetKey": raw[0], "partitionKey": month[-1]}
    graph: list[Query] = [("LocationWorkspaceAssetsQuery", {"name": _LOCATION})]
    for some in (all_assets[n : n + _LIVE_BATCH] for n in range(0, len(all_assets), _LIVE_BATCH)):
        live = ("AssetGraphLiveQuery", "AssetsFreshnessInfoQuery", "AssetStaleStatusDataQuery")
        graph += [(name, {"assetKeys": some}) for name in live]
    page: list[Query] = [
        ("AssetViewDefinitionQuery", one),
        ("AssetGraphLiveQuery", {"assetKeys": raw[:1]}),
        ("PartitionHealthQuery", one),
        ("AssetPartitionDetailQuery", newest),
        ("AssetPartitionStaleQuery", newest),
    ]
    dialog: list[Query] = [
        ("LaunchAssetLoaderQuery", {"assetKeys": raw[:1]}),
        ("PartitionHealthQuery", one),
        ("LaunchAssetWarningsQuery", {"upstreamAssetKeys": [asset(keys.LANDING_EVENTS)]}),
    ]
    preview: list[Query] = [("BackfillPreviewQuery", {"partitionNames": month, "assetKeys": raw[:1]})]
    return [
        Page("asset graph", graph),
        Page("partition page", page),
        Page("backfill dialog", dialog),
        Page("  its preview, a month", preview),
    ]


class Servers:
    """A code server and a web server of one deployment, and the processes whose CPU counts."""

    def __init__(self, url: str, processes: Sequence[psutil.Process]) -> None:
        self._url = url
        self._processes = processes

    def ask(self, query: Query) -> dict[str, Any]:
        """Send a query as the UI does; an answer that is an error ends the benchmark."""
        name, variables = query
        body = json.dumps({"operationName": name, "query": ui_query(name), "variables": variables}).encode()
        request = urllib.request.Request(f"{self._url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=600) as response:
            answer = json.load(response)
        if "errors" in answer or '"PythonError"' in json.dumps(answer):
            raise SystemExit(f"{name}: {json.dumps(answer)[:2000]}")
        data: dict[str, Any] = answer["data"]
        return data

    def open(self, page: Page) -> dict[str, Cost]:
        """What each kind of query of a page takes together."""
        costs: dict[str, Cost] = {}
        for query in page.queries:
            started, worked = time.perf_counter(), self._cpu()
            self.ask(query)
            so_far = costs.get(query[0], Cost(0, 0))
            costs[query[0]] = Cost(so_far.wall + time.perf_counter() - started, so_far.cpu + self._cpu() - worked)
        return costs

    def _cpu(self) -> float:
        """CPU seconds of the processes, of their children, and of children that have ended."""
        everyone = [each for process in self._processes for each in (process, *process.children(recursive=True))]
        return sum(sum(each.cpu_times()[:4]) for each in everyone)


@contextmanager
def served(settings: Settings, others: Sequence[psutil.Process]) -> Iterator[tuple[Servers, float]]:
    """Both servers of a deployment, and the seconds until the code location was there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workspace = settings.home / "workspace.yaml"
    code = {"python_module": {"module_name": CODE_LOCATION, "location_name": _LOCATION}}
    workspace.write_text(yaml.safe_dump({"load_from": [code]}))
    command = [sys.executable, "-m", "dagster_webserver", "-w", str(workspace), "-h", "127.0.0.1", "-p", str(port)]
    chosen = settings.model_dump(mode="json", include=settings.model_fields_set)
    ours = {f"{PREFIX}{name.upper()}": str(value) for name, value in chosen.items()}
    started = time.perf_counter()
    with (settings.home / "webserver.log").open("wb") as log:
        environment = child_environment({**process_environment(settings), **ours})
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(process, url, settings.home / "webserver.log")
            yield Servers(url, [psutil.Process(process.pid), *others]), time.perf_counter() - started
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(f"{url}/server_info", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"the web server did not start:\n{log.read_text()[-2000:]}")


def fill(settings: Settings, scale: Scale) -> None:
    """Give the instance its tenants and its past: each partition of raw and of days built, each check of it passed."""
    tenants = [*load_catalog().tenants, *scale.registry]
    graph = build_definitions(settings).resolve_asset_graph()
    raw = [keys.raw(stream) for stream in list(load_catalog().streams)[: scale.streams]]
    daily = partitions_from(settings.history_start, settings.reporting_time_zone).day
    of_days = [key for key in graph.materializable_asset_keys if graph.get(key).partitions_def == daily]
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions(TENANT_PARTITIONS, tenants)
        past: dict[tuple[dg.AssetKey, ...], Sequence[str]] = {
            tuple(raw): [raw_key((day, tenant)) for day in scale.days for tenant in tenants],
            tuple(sorted(of_days)): [day.isoformat() for day in scale.days],
        }
        for assets, partitions in past.items():
            seed(instance, assets[0], partitions)
            for other in assets[1:]:
                copy_past(instance, assets[0], other, partitions[-1])
        filled = {*raw, *of_days}
        for check in sorted(graph.asset_check_keys):
            if check.asset_key in filled and graph.get(check).partitions_def is not None:
                seed_evaluations(instance, check)


def measure(name: str, settings: Settings, scale: Scale, rounds: int, others: Sequence[psutil.Process]) -> float:
    """Print a deployment's costs; the most CPU seconds that a page takes once Dagster knows its partitions."""
    started = time.perf_counter()
    fill(settings, scale)
    partitions = len(scale.days) * scale.tenants
    told = (
        f"{scale.years} years x {scale.tenants} tenants, {partitions:,} partitions in each of {scale.streams} streams"
    )
    print(f"{name}: {told}; filled in {time.perf_counter() - started:.0f} s")
    worst = 0.0
    with served(settings, others) as (servers, start):
        print(f"  code location loaded and served after {start:.1f} s wall")
        location = servers.ask(("LocationWorkspaceAssetsQuery", {"name": _LOCATION}))
        entry = location["workspaceLocationEntryOrError"]["locationOrLoadError"]
        everything = [each["assetKey"] for repository in entry["repositories"] for each in repository["assetNodes"]]
        for page in pages([{"path": key["path"]} for key in everything], list(load_catalog().streams), scale):
            cold = servers.open(page)
            worst = max(worst, tell(page, cold, [servers.open(page) for _ in range(rounds)]))
    return worst


def tell(page: Page, cold: Mapping[str, Cost], warm: Sequence[Mapping[str, Cost]]) -> float:
    """Print a page's costs, and what its queries take of them; its CPU seconds, warm."""

    def told(costs: Sequence[Cost]) -> tuple[float, str]:
        cpu, wall = statistics.median(each.cpu for each in costs), statistics.median(each.wall for each in costs)
        return cpu, f"{cpu:6.2f} s CPU {wall:6.2f} s wall"

    def whole(costs: Mapping[str, Cost]) -> Cost:
        return Cost(sum(each.wall for each in costs.values()), sum(each.cpu for each in costs.values()))

    cpu, text = told([whole(each) for each in warm])
    print(f"  {page.name:24}{text}   cold {told([whole(cold)])[1]}")
    for name in cold:
        print(f"      {name:32}{told([each[name] for each in warm])[1]}   cold {told([cold[name]])[1]}")
    return cpu


def main(scale: Scale, databases: Sequence[str], rounds: int) -> float:
    """Measure on each database; the worst page's CPU seconds."""
    worst = 0.0
    for database in databases:
        with ExitStack() as stack:
            home = Path(stack.enter_context(TemporaryDirectory(prefix="analytics-bench-")))
            registry = home / "tenants.yaml"
            registry.write_text(yaml.safe_dump(scale.registry))
            chosen: dict[str, Any] = {"home": home, "tenants_file": registry, "history_start": scale.days[0]}
            others = []
            if database == "PostgreSQL":
                server = stack.enter_context(running_postgres())
                chosen |= server.database("dagster")
                others = [psutil.Process(int(Path(server.folder, "data", "postmaster.pid").read_text().split()[0]))]
            worst = max(worst, measure(database, Settings(**chosen), scale, rounds, others))
    return worst


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--years", type=int, default=7)
    arguments.add_argument("--tenants", type=int, default=50)
    arguments.add_argument("--streams", type=int, default=len(load_catalog().streams), help="those that are filled")
    arguments.add_argument("--databases", nargs="+", default=["SQLite", "PostgreSQL"])
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    seconds = main(Scale(given.years, given.tenants, given.streams), given.databases, given.rounds)
    sys.exit(0 if held("worst page, s CPU", seconds, MAX_SECONDS) else 1)
