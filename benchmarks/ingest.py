"""CPU per event from file to landing to raw, beside floor and peers of the same run: `python -m benchmarks.ingest`.

The floor is what no design can avoid: parse the landed JSON and write zstd Parquet, in two ways (DuckDB alone; DuckDB
to Arrow to Parquet with the options of raw), of which the cheaper counts. Neither floor sorts, de-duplicates, splits by
partition or syncs. The peers take the same file in with what is usual (`benchmarks.ingest_peers`), in an environment
that is made when it is missing, with fewer messages, since they are slow and linear. All steps take turns, medians are
reported, and each step runs in a process of its own, so that its CPU time and its peak memory are its own.

Four files: one day of messages of few tenants, an eighth of them, and the same number of many tenants: once of the
same number of people in all, which is what the tenants themselves cost, and once of as many people a tenant.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import venv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.intake.importer import import_paths
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.layout import LANDING_PREFIX
from analytics_platform.lake.merge import connected
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.schema import DICTIONARY_COLUMNS, IDENTIFIERS, JSON_COLUMNS, LANDING_COLUMNS, RAW_SCHEMA
from analytics_platform.lake.store import LocalStore
from benchmarks.measuring import Measured, held, measured, median
from benchmarks.messages import USERS_OF_A_TENANT, write_file

FEW, MANY, GROWTH = 10, 400, 8
MAX_OF_FLOOR = 1.7
MAX_OF_PEER = {"pandas": 1 / 2.5, "dlt-append": 1 / 6, "dlt-merge": 1 / 8}
MAX_MANY_OF_FEW = 1.5
MAX_GROWTH = 1.05
MAX_PEAK_MB = 400
_EVENTS = 1_000_000
_PEER_EVENTS = 100_000
_ROUNDS = 5
_BATCH_ROWS = 50_000
_MORE = ("eighth", "many", "crowd")
_LAKE = "lake"
_KEYS = "identity_keys.json"
_FILE = "messages.zst"
_PEERS = Path(__file__).with_name("ingest_peers.py")
_PEERS_HOME = Path(tempfile.gettempdir()) / "analytics-bench-ingest-peers"


def catalog_of(tenants: int) -> Catalog:
    """The catalogue with so many tenants, copies of its own under numbered names."""
    catalog = load_catalog()
    own = list(catalog.tenants.values())
    copies = [own[number % len(own)].model_copy(update={"tenant_id": f"t{number}"}) for number in range(tenants)]
    return catalog.model_copy(update={"tenants": {copy.tenant_id: copy for copy in copies}})


def import_file(folder: Path, tenants: int) -> None:
    """From the file to landing and dead letters."""
    report = import_paths(
        [folder / _FILE],
        catalog=catalog_of(tenants),
        store=LocalStore(folder / _LAKE),
        identities=IdentityKeys(folder / _KEYS),
    )
    assert report.read == report.accepted + report.duplicates + report.dead_lettered


def build_raw(folder: Path, tenants: int) -> None:
    """From landing to raw and the identities table."""
    store = LocalStore(folder / _LAKE)
    take = IdentitiesTable(store, IdentityKeys(folder / _KEYS)).take
    streams = list(catalog_of(tenants).streams)
    build_partitions(store, streams=streams, partitions=landed_partitions(store), identifiers=take)


def floor_duckdb(folder: Path) -> None:
    """Parse what landed and write Parquet, in DuckDB alone."""
    with connected() as connection:
        target = "(format parquet, compression zstd, compression_level 1)"
        connection.execute(f"copy ({_parse(folder)}) to '{folder / 'floor.parquet'}' {target}")


def floor_arrow(folder: Path) -> None:
    """Parse what landed in DuckDB and write Parquet with Arrow, as raw does."""
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


@dataclass(frozen=True)
class Case:
    """One file in a folder of its own."""

    name: str
    folder: Path
    events: int
    tenants: int
    users: int = USERS_OF_A_TENANT
    """Of a tenant."""

    def write(self) -> None:
        """Write the file."""
        self.folder.mkdir()
        write_file(self.folder / _FILE, catalog_of(self.tenants), events=self.events, days=1, users=self.users)


Rounds = dict[tuple[str, str], list[Measured]]
"""What each step took in each round, by case and step."""


def measure_round(case: Case, taken: Rounds, *, floors: bool) -> None:
    """Import, build, and where asked the floors: once each."""
    shutil.rmtree(case.folder / _LAKE, ignore_errors=True)
    taken[case.name, "import"].append(measured(import_file, case.folder, case.tenants))
    taken[case.name, "raw"].append(measured(build_raw, case.folder, case.tenants))
    if floors:
        taken[case.name, "floor: DuckDB alone"].append(measured(floor_duckdb, case.folder))
        taken[case.name, "floor: DuckDB, Arrow"].append(measured(floor_arrow, case.folder))


def measure_peer(peer: str, case: Case, python: Path) -> Measured:
    """A peer over the case's file, in its own environment."""
    with tempfile.TemporaryDirectory(prefix="analytics-bench-peer-") as out:
        environment = {"DLT_DATA_DIR": f"{out}/dlt", "RUNTIME__DLTHUB_TELEMETRY": "false", "HOME": out}
        command = [str(python), str(_PEERS), peer, str(case.folder / _FILE), out]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout.splitlines()[-1])
    if not said["rows"] or not said["quarantined"]:
        raise SystemExit(f"{peer} took in {said['rows']} rows and {said['quarantined']} broken lines: it did not work")
    return Measured(said["cpu"], said["wall"], said["peak_mb"])


def peers_python(home: Path) -> Path:
    """The interpreter of the peers' environment, made of the registry's packages when it is missing."""
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
        requirements = ["-r", str(_PEERS.with_suffix(".txt"))]
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *requirements], check=True)
    return python


class Result:
    """Medians of a run, told and held against the bars."""

    def __init__(self, taken: Rounds, events: dict[str, int]) -> None:
        self._events = events
        self._medians = {key: median(rounds) for key, rounds in taken.items()}
        self.missed = 0

    def per_event(self, case: str, *steps: str) -> float:
        """CPU microseconds per event of some steps together."""
        return sum(self._medians[case, step].cpu for step in steps) / self._events[case] * 1e6

    def told(self, where: TextIO) -> None:
        """Every step of every case."""
        for (case, step), found in self._medians.items():
            per_event = self.per_event(case, step)
            line = f"{case:<12} {step:<22}{per_event:8.2f} us/event CPU {found.wall:8.2f} s {found.peak_mb:6.0f} MB"
            print(line, file=where, flush=True)

    def held(self, what: str, found: float, most: float) -> None:
        """Say whether a bar holds, and count it if not."""
        self.missed += not held(what, found, most)

    def judged(self) -> int:
        """All bars of what was measured; how many are missed."""
        for way, steps in {"landing to raw": ("raw",), "file to raw": ("import", "raw")}.items():
            self._judged_beside(way, steps)
            few = self.per_event("few", *steps)
            for case, people in {"many": "the same people", "crowd": "as many people each"}.items():
                if case in self._events:
                    times = self.per_event(case, *steps) / few
                    self.held(f"{way}, {MANY} tenants times {FEW}, {people}", times, MAX_MANY_OF_FEW)
            if "eighth" in self._events:
                self.held(f"{way}, per event, times an eighth", few / self.per_event("eighth", *steps), MAX_GROWTH)
        for step in ("import", "raw"):
            peak = max(found.peak_mb for (_, name), found in self._medians.items() if name == step)
            self.held(f"{step}, MB at its peak", peak, MAX_PEAK_MB)
        return self.missed

    def _judged_beside(self, way: str, steps: tuple[str, ...]) -> None:
        """The floor, and the peers that were measured."""
        few = self.per_event("few", *steps)
        floor = min(self.per_event("few", name) for _, name in self._medians if name.startswith("floor"))
        self.held(f"{way}, times the floor", few / floor, MAX_OF_FLOOR)
        for peer, most in MAX_OF_PEER.items():
            if ("peers", peer) in self._medians:
                self.held(f"{way}, times {peer}", few / self.per_event("peers", peer), most)


def run(options: argparse.Namespace) -> int:
    """Measure and print; how many bars are missed."""
    with tempfile.TemporaryDirectory(prefix="analytics-bench-") as name:
        at = Path(name)
        few = Case("few", at / "few", options.events, FEW)
        beside = Case("peers", at / "peers", options.peer_events, FEW)
        more = {
            "eighth": Case("eighth", at / "eighth", options.events // GROWTH, FEW),
            "many": Case("many", at / "many", options.events, MANY, users=USERS_OF_A_TENANT * FEW // MANY),
            "crowd": Case("crowd", at / "crowd", options.events, MANY),
        }
        cases = [few, *(more[case] for case in options.cases)]
        for case in (*cases, beside):
            case.write()
        peers = peers_python(options.peers) if options.peer_events else None
        events = {case.name: case.events for case in (*cases, beside)}
        taken: Rounds = defaultdict(list)
        for number in range(options.rounds):
            for case in cases:
                measure_round(case, taken, floors=case is few)
            if peers is not None:
                for peer in MAX_OF_PEER:
                    taken[beside.name, peer].append(measure_peer(peer, beside, peers))
            print(f"after round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
            Result(taken, events).told(sys.stderr)
    print(f"{options.events:,} messages of a day, {options.peer_events:,} for peers, {options.rounds} rounds")
    result = Result(taken, events)
    result.told(sys.stdout)
    return result.judged()


def main() -> int:
    """Command line: exit code 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=_EVENTS)
    parser.add_argument("--peer-events", type=int, default=_PEER_EVENTS, help="0 leaves the peers out")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--cases", nargs="*", choices=_MORE, default=_MORE)
    parser.add_argument("--peers", type=Path, default=_PEERS_HOME, help="the peers' environment; made if missing")
    return 1 if run(parser.parse_args()) else 0


if __name__ == "__main__":
    sys.exit(main())
